package inventory

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
)

// maxChunk bounds one document or one item of a list. etcd refuses objects far
// smaller than this, so only a file that is no single object is affected.
const maxChunk = 32 << 20

// maxHeld bounds the items of a list whose kind only the end of the list tells.
const maxHeld = 32 << 20

// sniffBytes are kept of a document that is too large, to say what it was.
const sniffBytes = 64 << 10

// chunk is the text of one document, or of one item of a list. data is valid
// only until emit returns.
type chunk struct {
	file string
	// line of the first byte of data.
	line int
	data []byte
	// broken says why data is not the whole document; "" when it is.
	broken string
	// apiVersion and kind of the list for an item that names none.
	apiVersion, kind string
	// envelope is set for what is left of a document whose items were emitted.
	envelope bool
	// id is what data says it is, when somebody looked already.
	id *identity
}

// identity sniffs the text once.
func (c *chunk) identity() identity {
	if c.id == nil {
		id := sniff(c.data)
		c.id = &id
	}
	return *c.id
}

// readStream splits a stream into documents and emits one after the other, in a
// memory that does not grow with the stream. Items of a list are documents of
// their own: kubectl's output for a large cluster is one document.
func readStream(ctx context.Context, name string, br *bufio.Reader, emit func(chunk) error) error {
	s := splitter{name: name, br: br, line: 1, emit: emit, ctx: ctx}
	if bom, err := br.Peek(3); err == nil && bytes.Equal(bom, []byte("\ufeff")) {
		_, _ = br.Discard(3) // just peeked
	}
	if bom, err := br.Peek(2); err == nil && (bom[0] == 0xff && bom[1] == 0xfe || bom[0] == 0xfe && bom[1] == 0xff) {
		return emit(chunk{file: name, line: 1, broken: "the text is UTF-16; save it as UTF-8"})
	}
	for {
		json, err := s.atJSON()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return &ReadError{Path: name, Err: err}
		}
		if !json {
			return s.yamlStream()
		}
		if err := s.jsonDocument(); err != nil {
			return err
		}
	}
}

// splitter is the state of one stream.
type splitter struct {
	name string
	br   *bufio.Reader
	line int
	emit func(chunk) error
	ctx  context.Context

	doc     buffer // the document, or what is left of a list
	item    buffer // the current item of a list
	held    []chunk
	size    int      // of held
	head    identity // of the document whose items are read, once sniffed
	sniffed bool
	err     error
}

// buffer collects text up to maxChunk.
type buffer struct {
	data []byte
	line int
	over bool
}

func (b *buffer) reset(line int) { b.data, b.line, b.over = b.data[:0], line, false }

func (b *buffer) add(text []byte) {
	switch {
	case b.over:
	case len(b.data)+len(text) > maxChunk:
		b.over = true
		b.data = append(b.data, text[:min(len(text), max(0, sniffBytes-len(b.data)))]...)
		b.data = b.data[:min(len(b.data), sniffBytes)]
	default:
		b.data = append(b.data, text...)
	}
}

func (b *buffer) chunk(file string) chunk {
	c := chunk{file: file, line: b.line, data: b.data}
	if b.over {
		c.broken = "the document has more than 32 MiB, more than any object of Kubernetes may have"
	}
	return c
}

// blank tells whether text holds nothing but space and comments.
func blank(text []byte) bool {
	for len(text) > 0 {
		line := text
		if i := bytes.IndexByte(text, '\n'); i >= 0 {
			line, text = text[:i], text[i+1:]
		} else {
			text = nil
		}
		if t := bytes.TrimSpace(line); len(t) > 0 && t[0] != '#' {
			return false
		}
	}
	return true
}

// Where the line splitter stands in a document.
type listState int

const (
	outside listState = iota // not in a list of items
	atItems                  // after a line "items:"
	inItems
)

// yamlStream splits the rest of the stream by lines.
func (s *splitter) yamlStream() error {
	s.doc.reset(s.line)
	state, indent, hadItems := outside, 0, false
	endDoc := func() error {
		err := s.endDocument(state == inItems, hadItems)
		state, hadItems = outside, false
		return err
	}
	for start := true; ; {
		text, err := s.br.ReadSlice('\n')
		if len(text) == 0 && err != nil {
			if !errors.Is(err, io.EOF) {
				return &ReadError{Path: s.name, Err: err}
			}
			return endDoc()
		}
		whole := err == nil
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) && !errors.Is(err, io.EOF) {
			return &ReadError{Path: s.name, Err: err}
		}
		if start {
			if err := s.ctx.Err(); err != nil {
				return err
			}
			if sep, rest := separator(text); sep {
				if err := endDoc(); err != nil {
					return err
				}
				s.doc.reset(s.line)
				s.doc.add(rest)
				text = nil
			} else if len(text) > 0 && text[0] == '%' && blank(s.doc.data) {
				text = []byte("\n") // a directive; nothing here depends on one
			} else {
				state, indent = s.step(state, indent, text)
				if s.err != nil {
					return s.err
				}
				if state == inItems {
					hadItems = true
				}
			}
		}
		if state == inItems {
			s.item.add(text)
		} else {
			s.doc.add(text)
		}
		if whole {
			s.line++
		}
		start = whole
	}
}

// step moves the state at the start of a line. It may end an item, and blanks
// the dash of a new one in place.
func (s *splitter) step(state listState, indent int, text []byte) (listState, int) {
	t := bytes.TrimLeft(text, " ")
	in := len(text) - len(t)
	dash := len(t) > 0 && t[0] == '-' && (len(t) == 1 || t[1] == ' ' || t[1] == '\n' || t[1] == '\r')
	switch state {
	case outside:
		if rest, ok := bytes.CutPrefix(text, []byte("items:")); ok && blank(rest) {
			return atItems, 0
		}
		return outside, 0
	case atItems:
		if blank(text) {
			return atItems, 0
		}
		if !dash {
			return outside, 0
		}
		s.item.reset(s.line)
		text[in] = ' '
		return inItems, in
	case inItems:
		if len(bytes.TrimSpace(t)) == 0 || t[0] == '#' || in > indent {
			return inItems, indent
		}
		s.endItem()
		if in == indent && dash {
			s.item.reset(s.line)
			text[in] = ' '
			return inItems, indent
		}
		return outside, 0
	}
	return state, indent
}

// separator tells whether a line separates documents, with the text after it in place.
func separator(text []byte) (bool, []byte) {
	if !bytes.HasPrefix(text, []byte("---")) && !bytes.HasPrefix(text, []byte("...")) {
		return false, nil
	}
	rest := text[3:]
	if len(rest) > 0 && rest[0] != ' ' && rest[0] != '\t' && rest[0] != '\r' && rest[0] != '\n' {
		return false, nil
	}
	return true, append([]byte("   "), rest...)
}

// endItem emits the current item, or holds it while its kind is not known: the
// items of a typed list name none, and the kind of a list may stand after them.
func (s *splitter) endItem() {
	c := s.item.chunk(s.name)
	if c.identity().kind == "" {
		if !s.sniffed {
			s.sniffed = true
			s.head = sniff(s.doc.data)
		}
		if of, ok := strings.CutSuffix(s.head.kind, "List"); ok && of != "" {
			c.apiVersion, c.kind = s.head.apiVersion, of
			s.pending(c)
			return
		}
	}
	if c.broken != "" || c.identity().kind != "" || s.size+len(c.data) > maxHeld {
		s.pending(c)
		return
	}
	c.data = bytes.Clone(c.data)
	s.size += len(c.data)
	s.held = append(s.held, c)
}

// pending emits an item; the first error ends the stream at the next check.
func (s *splitter) pending(c chunk) {
	if s.err == nil {
		s.err = s.emit(c)
	}
}

// endDocument emits what the buffer holds and then the items that waited for it.
func (s *splitter) endDocument(openItem, hadItems bool) error {
	if openItem {
		s.endItem()
	}
	if s.err != nil {
		return s.err
	}
	c := s.doc.chunk(s.name)
	c.envelope = hadItems
	id := c.identity()
	listOf, isList := strings.CutSuffix(id.kind, "List")
	held := s.held
	s.held, s.size, s.sniffed = nil, 0, false
	if !blank(c.data) && !(hadItems && isList) {
		if err := s.emit(c); err != nil {
			return err
		}
	}
	for _, h := range held {
		h.apiVersion, h.kind = id.apiVersion, listOf
		if err := s.emit(h); err != nil {
			return err
		}
	}
	return nil
}
