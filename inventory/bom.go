package inventory

import (
	"bufio"
	"bytes"
	"io"
)

// newBOMSkipper reads r without a UTF-8 byte order mark, as Excel writes one.
func newBOMSkipper(r io.Reader) io.Reader {
	br := bufio.NewReader(r)
	if head, err := br.Peek(3); err == nil && bytes.Equal(head, []byte("\ufeff")) {
		_, _ = br.Discard(3) // just peeked
	}
	return br
}
