package mesh

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// RouteDifference is a request that two routers do different things with.
type RouteDifference struct {
	Request       RouteRequest
	Before, After RouteResult
}

// String is the difference in words: "GET /reviews/x end-user=jason: VirtualService shop/a spec.http[0] -> ...; HTTPRoute
// shop/a spec.rules[1] -> ...".
func (d RouteDifference) String() string {
	return fmt.Sprintf("%s: %s; %s", d.Request, d.Before, d.After)
}

// CompareRouters tells whether two routers do the same with every request. Both nil and "" is a proof: all requests fall
// into cells that neither router looks into any further, and both do the same in each of them. A difference is a request
// of a cell where they do not; the text says why it is not known. Paths, methods, header values and so on are taken to be
// printable ASCII.
func CompareRouters(before, after *Router, opts RouteOptions) (*RouteDifference, string) {
	if before == nil || after == nil {
		return nil, "there is no router"
	}
	c, why := newRouterComparison(before, after, opts)
	if why != "" {
		return nil, why
	}
	why = c.run()
	switch {
	case c.found != nil:
		return c.found, ""
	case c.unknown != "":
		return nil, c.unknown
	}
	return nil, why
}

func newRouterComparison(before, after *Router, opts RouteOptions) (*routerComparison, string) {
	c := &routerComparison{before: before, after: after, limit: opts.Limit, hash: opts.ConsistentHash, visited: map[string]bool{}}
	if c.limit == 0 {
		c.limit = DefaultRouteLimit
	}
	return c, c.prepare()
}

// run walks through all cells, or up to the first difference; the text says that there are too many.
func (c *routerComparison) run() string {
	c.walk(c.start(), slices.Repeat([]int{-1}, len(c.fields)))
	if c.nodes > c.limit {
		return fmt.Sprintf("the rules tell more than %d kinds of requests apart", c.limit)
	}
	return ""
}

// routerComparison walks through the cells of two routers: field by field, as long as an entry that may be the first to
// match looks at one that is not set.
type routerComparison struct {
	before, after *Router
	limit, nodes  int
	hash          bool
	visited       map[string]bool

	fields  []routeField
	classes [][]textClass
	// looks and holds are, by entry (those of before first) and field, whether it has a condition on the field and
	// for which classes its conditions hold.
	looks [][]bool
	holds [][][]bool

	found   *RouteDifference
	unknown string
	// collect makes the walk list the cells instead of comparing.
	collect bool
	cells   []RouteRequest
}

// RouteCells partitions all requests by what two routers can tell apart, and gives one request of each cell; the text says
// why it cannot.
func RouteCells(a, b *Router, opts RouteOptions) ([]RouteRequest, string) {
	if a == nil || b == nil {
		return nil, "there is no router"
	}
	c, why := newRouterComparison(a, b, opts)
	if why != "" {
		return nil, why
	}
	c.collect = true
	if why := c.run(); why != "" {
		return nil, why
	}
	return c.cells, ""
}

// livePair are the entries of both routers that may still match.
type livePair struct{ before, after []int }

func (c *routerComparison) entry(i int) *routerEntry {
	if i < len(c.before.entries) {
		return &c.before.entries[i]
	}
	return &c.after.entries[i-len(c.before.entries)]
}

// prepare finds the fields that are looked at and their classes.
func (c *routerComparison) prepare() string {
	n := len(c.before.entries) + len(c.after.entries)
	byField := map[routeField][]*routeCondition{}
	for i := range n {
		e := c.entry(i)
		for j := range e.match.all {
			a := &e.match.all[j]
			if byField[a.field] == nil {
				c.fields = append(c.fields, a.field)
			}
			byField[a.field] = append(byField[a.field], a)
		}
	}
	slices.SortFunc(c.fields, compareRouteField)
	c.looks, c.holds = make([][]bool, n), make([][][]bool, n)
	for i := range n {
		c.looks[i], c.holds[i] = make([]bool, len(c.fields)), make([][]bool, len(c.fields))
	}
	for k, f := range c.fields {
		classes, ok := fieldClasses(f, byField[f], c.before.host)
		if !ok {
			return fmt.Sprintf("the conditions on %s tell too much apart", f)
		}
		c.classes = append(c.classes, classes)
		for i := range n {
			for _, a := range c.entry(i).match.all {
				if a.field != f {
					continue
				}
				if !c.looks[i][k] {
					c.looks[i][k], c.holds[i][k] = true, slices.Repeat([]bool{true}, len(classes))
				}
				for v, cl := range classes {
					c.holds[i][k][v] = c.holds[i][k][v] && a.holds(cl.text, cl.present)
				}
			}
		}
	}
	return ""
}

// String is the field as messages name it.
func (f routeField) String() string {
	switch f.part {
	case partPath:
		return "paths"
	case partMethod:
		return "methods"
	case partAuthority:
		return "authorities"
	case partScheme:
		return "schemes"
	case partHeader:
		return "header " + f.name
	case partQuery:
		return "query parameter " + f.name
	}
	return "nothing"
}

// fieldClasses are the classes of a field, absence first where there is such a thing.
func fieldClasses(f routeField, conditions []*routeCondition, host string) ([]textClass, bool) {
	switch f.part {
	case partScheme:
		return []textClass{{true, "http", true}, {true, "https", true}}, true
	case partPath:
		return textClassesOf(f, conditions, []string{"/"})
	case partMethod:
		return textClassesOf(f, conditions, []string{"GET", "POST"})
	case partHeader, partQuery:
		classes, ok := textClassesOf(f, conditions, []string{"x"})
		return append([]textClass{{}}, classes...), ok
	default:
		return textClassesOf(f, conditions, []string{host})
	}
}

// start is both routers as a whole.
func (c *routerComparison) start() livePair {
	var out livePair
	for i := range c.before.entries {
		out.before = append(out.before, i)
	}
	for i := range c.after.entries {
		out.after = append(out.after, len(c.before.entries)+i)
	}
	return out
}

// narrow leaves the entries that hold for a class of a field.
func (c *routerComparison) narrow(list []int, field, class int, chosen []int) []int {
	var out []int
	for _, i := range list {
		if c.looks[i][field] && !c.holds[i][field][class] {
			continue
		}
		out = append(out, i)
		if c.open(i, chosen) < 0 {
			break
		}
	}
	return out
}

// open is the first field that an entry looks at and that is not chosen; -1 for none.
func (c *routerComparison) open(entry int, chosen []int) int {
	for k := range c.fields {
		if c.looks[entry][k] && chosen[k] < 0 {
			return k
		}
	}
	return -1
}

// next is the field to choose next; -1 when the first entries of both are decided. Fields come in one order, so that
// paths, which rule out most, are first.
func (c *routerComparison) next(l livePair, chosen []int) int {
	next := -1
	for _, list := range [][]int{l.before, l.after} {
		if len(list) == 0 {
			continue
		}
		if k := c.open(list[0], chosen); k >= 0 && (next < 0 || k < next) {
			next = k
		}
	}
	return next
}

func (c *routerComparison) walk(l livePair, chosen []int) {
	c.nodes++
	if c.found != nil || c.nodes > c.limit {
		return
	}
	k := c.next(l, chosen)
	if k < 0 {
		c.leaf(l, chosen)
		return
	}
	for v := range c.classes[k] {
		chosen[k] = v
		n := livePair{c.narrow(l.before, k, v, chosen), c.narrow(l.after, k, v, chosen)}
		if key := c.key(n, chosen); !c.visited[key] {
			c.visited[key] = true
			c.walk(n, chosen)
		}
		chosen[k] = -1
		if c.found != nil || c.nodes > c.limit {
			return
		}
	}
}

// key is the same for cells that nothing further can tell apart. Paths are told apart all the same, since a path may be
// rewritten.
func (c *routerComparison) key(l livePair, chosen []int) string {
	b := make([]byte, 0, 4*(len(l.before)+len(l.after)+2)+len(chosen))
	for k, v := range chosen {
		switch {
		case c.fields[k].part == partPath:
			b = binary.LittleEndian.AppendUint32(b, uint32(v))
		case v < 0:
			b = append(b, '-')
		default:
			b = append(b, '+')
		}
	}
	for _, i := range l.before {
		b = binary.LittleEndian.AppendUint32(b, uint32(i))
	}
	b = append(b, "|"...)
	for _, i := range l.after {
		b = binary.LittleEndian.AppendUint32(b, uint32(i))
	}
	return string(b)
}

// leaf compares what both do in a cell.
func (c *routerComparison) leaf(l livePair, chosen []int) {
	req := c.request(chosen)
	if c.collect {
		c.cells = append(c.cells, req)
		return
	}
	exact := false
	for k, f := range c.fields {
		if f.part == partPath && chosen[k] >= 0 {
			exact = c.classes[k][chosen[k]].exact
		}
	}
	result := func(list []int) RouteResult {
		if len(list) == 0 {
			return RouteResult{Action: RouteAction{NotFound: true}}
		}
		e := c.entry(list[0])
		if e.match.unknown != "" {
			return RouteResult{Object: e.object, Path: e.path, Unknown: e.match.unknown}
		}
		return e.result(req.Path, exact)
	}
	before, after := result(l.before), result(l.after)
	for _, r := range []RouteResult{before, after} {
		if r.Unknown != "" {
			if c.unknown == "" {
				c.unknown = fmt.Sprintf("%s of %s: %s", r.Path, r.Object, r.Unknown)
			}
			return
		}
	}
	if before.Action.key() == after.Action.key() {
		if c.hash && !slices.Equal(before.Action.order, after.Action.order) && c.unknown == "" {
			c.unknown = fmt.Sprintf("%s: DestinationRules hash, and the destinations stand in another order", req)
		}
		return
	}
	c.differ(req, before, after)
}

// differ takes down a cell in which the normal forms of what both do are not equal. A difference is only what the routers
// themselves say of a request: where that is the same for one path, it may not be for others that match the same
// conditions.
func (c *routerComparison) differ(req RouteRequest, before, after RouteResult) {
	a, b := before.Action, after.Action
	a.ForwardsHost, b.ForwardsHost = false, false
	if a.key() == b.key() {
		c.unknown = fmt.Sprintf("%s: x-forwarded-host depends on the mesh's proxy headers", req)
		return
	}
	first := req.Path
	for _, path := range []string{first, first + "z", first + "/z", swapCase(first), swapCase(first) + "z"} {
		req.Path = path
		d := &RouteDifference{req, c.before.Route(req), c.after.Route(req)}
		same := d.Before.Object == before.Object && d.Before.Path == before.Path && d.After.Object == after.Object && d.After.Path == after.Path
		if same && d.Before.Action.key() != d.After.Action.key() {
			c.found = d
			return
		}
		if !same && path == first {
			c.unknown = fmt.Sprintf("%s: the rules do not match as they were taken to", req)
			return
		}
	}
	req.Path = first
	c.unknown = fmt.Sprintf("%s: what becomes of other paths like this one may differ", req)
}

// swapCase turns lower case into upper case and back.
func swapCase(s string) string {
	b := []byte(s)
	for i := range b {
		if isLetter(b[i]) {
			b[i] ^= 0x20
		}
	}
	return string(b)
}

// request is a request of a cell.
func (c *routerComparison) request(chosen []int) RouteRequest {
	req := RouteRequest{Method: "GET", Path: "/", Scheme: "http"}
	for k, f := range c.fields {
		if chosen[k] < 0 {
			continue
		}
		v := c.classes[k][chosen[k]]
		switch f.part {
		case partPath:
			req.Path = v.text
		case partMethod:
			req.Method = v.text
		case partAuthority:
			req.Authority = v.text
		case partScheme:
			req.Scheme = v.text
		case partHeader:
			if v.present {
				if req.Headers == nil {
					req.Headers = map[string]string{}
				}
				req.Headers[strings.ToLower(f.name)] = v.text
			}
		case partQuery:
			if v.present {
				if req.Query == nil {
					req.Query = map[string]string{}
				}
				req.Query[f.name] = v.text
			}
		}
	}
	return req
}
