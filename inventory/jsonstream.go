package inventory

import (
	"bytes"
	"errors"
	"io"
)

// atJSON skips space and tells whether a JSON object follows. Anything else is
// left to the line splitter: YAML, templates, flow mappings.
func (s *splitter) atJSON() (bool, error) {
	for {
		head, err := s.br.Peek(1)
		if err != nil {
			return false, err
		}
		switch c := head[0]; {
		case c == '\n':
			s.line++
			fallthrough
		case c == ' ' || c == '\t' || c == '\r':
			_, _ = s.br.Discard(1) // just peeked
			continue
		case c == '-' || c == '.':
			sep, _ := s.br.Peek(4)
			if ok, _ := separator(sep); !ok || len(bytes.TrimSpace(sep)) > 3 {
				return false, nil
			}
			if rest, err := s.br.Peek(64); err != nil || !blank(firstLine(rest[3:])) {
				if len(rest) > 3 && !blank(firstLine(rest[3:])) {
					return false, nil
				}
			}
			_, _ = s.br.Discard(3) // the rest of the line is blank
			continue
		case c != '{':
			return false, nil
		}
		head, _ = s.br.Peek(512)
		t := bytes.TrimLeft(head[1:], " \t\r\n")
		return len(t) > 0 && (t[0] == '"' || t[0] == '}'), nil
	}
}

func firstLine(b []byte) []byte {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return b[:i]
	}
	return b
}

// jsonScan is where the scanner stands inside of a JSON object.
type jsonScan struct {
	depth    int
	inString bool
	escaped  bool
	// key collects the last string at depth 1.
	key []byte
	// afterItems is set between the key "items" at depth 1 and its value.
	afterItems bool
	inItems    bool
	inElement  bool
}

// jsonDocument reads one JSON object. The elements of a field "items" at the top
// are emitted one by one and not kept.
func (s *splitter) jsonDocument() error {
	s.doc.reset(s.line)
	var sc jsonScan
	hadItems := false
	for {
		if _, err := s.br.Peek(1); errors.Is(err, io.EOF) {
			return s.truncatedJSON(sc.inElement, hadItems)
		} else if err != nil {
			return &ReadError{Path: s.name, Err: err}
		}
		buf, err := s.br.Peek(s.br.Buffered())
		if err != nil {
			return &ReadError{Path: s.name, Err: err}
		}
		n, done := s.jsonBytes(&sc, buf, &hadItems)
		if _, err := s.br.Discard(n); err != nil {
			return &ReadError{Path: s.name, Err: err}
		}
		if s.err == nil {
			s.err = s.ctx.Err()
		}
		if s.err != nil {
			return s.err
		}
		if done {
			return s.endDocument(false, hadItems)
		}
	}
}

// jsonBytes scans what is buffered, and tells how much of it belongs to the
// object and whether the object is complete.
func (s *splitter) jsonBytes(sc *jsonScan, buf []byte, hadItems *bool) (n int, done bool) {
	start := 0 // of what is not yet in a buffer
	flush := func(inElement bool, end int) {
		if inElement {
			s.item.add(buf[start:end])
		} else {
			s.doc.add(buf[start:end])
		}
		start = end
	}
	for i := 0; i < len(buf); i++ {
		if sc.inString && !sc.escaped && sc.depth > 1 {
			for i < len(buf)-1 && buf[i] != '"' && buf[i] != '\\' {
				i++
			}
		}
		c := buf[i]
		if c == '\n' {
			s.line++
		}
		was := *sc
		if done = sc.next(c); done {
			flush(false, i+1)
			return i + 1, true
		}
		switch {
		case sc.inElement && !was.inElement:
			flush(false, i)
			*hadItems = true
			s.item.reset(s.line)
		case was.inElement && !sc.inElement:
			flush(true, i+1)
			s.endItem()
		case was.inItems && !was.inElement && !was.inString && c == ',':
			flush(false, i)
			start = i + 1 // the comma goes with its element
		}
	}
	flush(sc.inElement, len(buf))
	return len(buf), false
}

// truncatedJSON emits what was read as broken, so that nobody takes it for the whole.
func (s *splitter) truncatedJSON(inElement, hadItems bool) error {
	const why = "the JSON text ends in the middle"
	if inElement {
		c := s.item.chunk(s.name)
		c.broken = why
		s.pending(c)
	}
	if s.err != nil {
		return s.err
	}
	if hadItems {
		// The items that were read are kept; that there may be more is said by the envelope.
		c := s.doc.chunk(s.name)
		c.broken = why
		held := s.held
		s.held, s.size = nil, 0
		if err := s.emit(c); err != nil {
			return err
		}
		for _, h := range held {
			if err := s.emit(h); err != nil {
				return err
			}
		}
		return nil
	}
	c := s.doc.chunk(s.name)
	c.broken = why
	return s.emit(c)
}

// next consumes one byte and tells whether the top-level object is complete.
func (sc *jsonScan) next(c byte) bool {
	if sc.inString {
		switch {
		case sc.escaped:
			sc.escaped = false
		case c == '\\':
			sc.escaped = true
		case c == '"':
			sc.inString = false
		case sc.depth == 1 && len(sc.key) < 16:
			sc.key = append(sc.key, c)
		}
		return false
	}
	switch c {
	case '"':
		sc.inString = true
		if sc.depth == 1 {
			sc.key = sc.key[:0]
			sc.afterItems = false
		}
	case ':':
		if sc.depth == 1 {
			sc.afterItems = string(sc.key) == "items"
		}
	case '{', '[':
		sc.depth++
		if sc.depth == 2 && c == '[' && sc.afterItems {
			sc.inItems = true
		}
		if sc.depth == 3 && sc.inItems {
			sc.inElement = true
		}
		sc.afterItems = false
	case '}', ']':
		sc.depth--
		if sc.depth == 2 && sc.inItems {
			sc.inElement = false
		}
		if sc.depth == 1 {
			sc.inItems = false
		}
		return sc.depth <= 0
	}
	return false
}
