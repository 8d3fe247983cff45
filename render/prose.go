package render

func (t *Tree) prose() error { return nil }
