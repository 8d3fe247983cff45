package span

import "strconv"

// Kind is what a node is. The zero value is no node.
type Kind int

// Kinds.
const (
	Missing Kind = iota
	Null
	String
	// Literal is a number, or true or false; Text is as it is written.
	Literal
	List
	Object
)

// Node is a value of a JSON or YAML document with its place. All methods work on nil, which is a missing value.
type Node struct {
	Kind Kind
	// Text is the value of a string or literal.
	Text Text
	// Items of a list.
	Items []*Node
	// Members of an object in the order of the file. A key that stands twice is there twice.
	Members []Member
	// At is the byte offset of the file at which the value begins.
	At int
}

// Member is a key and its value.
type Member struct {
	Key   Text
	Value *Node
}

// Get follows keys through objects, and indexes through lists. It gives the last of several members of one key, as
// encoding/json does, and nil where there is nothing.
func (n *Node) Get(path ...string) *Node {
	for _, key := range path {
		if n == nil {
			return nil
		}
		var next *Node
		switch n.Kind {
		case Object:
			for _, m := range n.Members {
				if m.Key.String == key {
					next = m.Value
				}
			}
		case List:
			if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < len(n.Items) {
				next = n.Items[i]
			}
		case Missing, Null, String, Literal:
		}
		n = next
	}
	return n
}

// Str is the text of a string or a literal at a path, "" where there is none.
func (n *Node) Str(path ...string) string {
	n = n.Get(path...)
	if n == nil || n.Kind != String && n.Kind != Literal {
		return ""
	}
	return n.Text.String
}

// Is says that the node is of a kind; a nil node is Missing.
func (n *Node) Is(k Kind) bool {
	if n == nil {
		return k == Missing
	}
	return n.Kind == k
}

// List gives the items of the list at a path.
func (n *Node) List(path ...string) []*Node {
	if n = n.Get(path...); n == nil {
		return nil
	}
	return n.Items
}

// Map gives the members of the object at a path.
func (n *Node) Map(path ...string) []Member {
	if n = n.Get(path...); n == nil {
		return nil
	}
	return n.Members
}
