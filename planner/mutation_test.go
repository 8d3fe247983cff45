package planner_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// mutant is a plan that is broken by hand in one way.
type mutant struct {
	// name says what was forgotten or done wrong.
	name string
	// plan is the case of testdata that is broken.
	plan   string
	mutate func(*testing.T, *api.MigrationPlan)
	// finds is the kind of gap that must be among those found.
	finds api.GapKind
}

// TestVerifyFindsBrokenPlans breaks plans by hand in ways that matter. Each must
// be found, by the kind of gap that it makes: a check that nothing can fail shows
// nothing.
func TestVerifyFindsBrokenPlans(t *testing.T) {
	for _, m := range slices.Concat(policyMutants(), routeMutants(), orderMutants(), wayMutants()) {
		t.Run(m.plan+"/"+m.name, func(t *testing.T) {
			inv, p := planCase(t, m.plan)
			m.mutate(t, p)
			var found []api.GapKind
			for _, s := range verified(t, inv, p) {
				for _, g := range s.Gaps {
					found = append(found, g.Kind)
				}
			}
			if !slices.Contains(found, m.finds) {
				t.Errorf("the plan was broken; wanted a gap that is %s, found %v", m.finds, found)
			}
		})
	}
}

// policyMutants do wrong by policies.
func policyMutants() []mutant {
	return []mutant{
		{"the waypoint is not admitted at the pods", "l7_allow", drop("-from-waypoint"), api.GapRestrictive},
		{"another identity is admitted at the pods", "every_kind", replace("orders-from-waypoint", "sa/waypoint", "sa/somebody"), api.GapRestrictive},
		{"an ALLOW is not copied to the waypoint", "l7_allow", drop("cart-waypoint"), api.GapPermissive},
		{"a DENY is not copied to the waypoint", "every_kind", drop("no-admin-waypoint"), api.GapPermissive},
		{"the copy says the pod's port", "l7_allow", replace("cart-waypoint", `"80"`, `"8080"`), api.GapRestrictive},
		{"the copy allows another method", "every_kind", replace("orders-waypoint", "GET", "POST"), api.GapPermissive},
		{"the copy denies what the original allows", "every_kind", replace("orders-waypoint", `"rules":`, `"action":"DENY","rules":`), api.GapRestrictive},
		{"the copy is for another Service", "every_kind", replace("orders-waypoint", `"name":"orders"`, `"name":"stock"`), api.GapPermissive},
		{"a DENY by exclusion catches the waypoint", "every_kind", dropIn("prepare", "not-others"), api.GapRestrictive},
		{"the guard is not there", "every_kind", drop("stock-only-waypoint"), api.GapPermissive},
		{"the guard only logs", "every_kind", replace("stock-only-waypoint", "DENY", "AUDIT"), api.GapPermissive},
		{"the guard catches the waypoint", "every_kind", replace("stock-only-waypoint", "sa/waypoint", "sa/somebody"), api.GapRestrictive},
		{"the guard selects other pods", "every_kind", replace("stock-only-waypoint", `"app":"stock"`, `"app":"orders"`), api.GapPermissive},
		{"tokens are not validated at the waypoint", "every_kind", dropKind("RequestAuthentication"), api.GapRestrictive},
	}
}

// routeMutants do wrong by routes that were converted.
func routeMutants() []mutant {
	return []mutant{
		{"the route leads to another version", "versions", replaceKind("HTTPRoute", `"name":"reviews-v2"`, `"name":"reviews-v1"`), api.GapRoutes},
		{"the route has another condition", "versions", replaceKind("HTTPRoute", `"value":"jason"`, `"value":"jane"`), api.GapRoutes},
		{"the route forgets the timeout", "versions", replaceKind("HTTPRoute", `"request":"2s"`, `"request":"5s"`), api.GapRoutes},
		{"the Service of a version selects other pods", "versions", replaceKind("Service/reviews-v2", `"version":"v2"`, `"version":"v3"`), api.GapRoutes},
		{"the settings of a version are forgotten", "versions", dropKind("DestinationRule"), api.GapRoutes},
		{"the VirtualService goes and no route is made", "versions", dropKind("HTTPRoute"), api.GapRoutes},
	}
}

// orderMutants do the right things at the wrong time.
func orderMutants() []mutant {
	return []mutant{
		{"the server moves before its client", "l7_allow", func(_ *testing.T, p *api.MigrationPlan) { p.Waves[1], p.Waves[2] = p.Waves[2], p.Waves[1] }, api.GapRestrictive},
		{"a server restarts together with its caller", "callers_in_batches", merge(1, "cutover", "cutover-2"), api.GapRestrictive},
		{"the guard comes after the restart", "every_kind", swap(2, "cutover-3", "cutover-4"), api.GapPermissive},
		{"the guard comes with the restart", "every_kind", merge(2, "cutover-3", "cutover-4"), api.GapPermissive},
		{"the guard comes while callers have sidecars", "every_kind", swap(2, "activate", "cutover-3"), api.GapRestrictive},
		{"the waypoint is active before it is admitted", "every_kind", swap(2, "prepare", "activate"), api.GapRestrictive},
		{"the waypoint is made and named in one step", "every_kind", merge(2, "prepare", "activate"), api.GapRestrictive},
		{"the old policies go before the pods", "callers_in_batches", before(1, "finalize", "cutover"), api.GapRestrictive},
		{"the way back drops the guard before the sidecars are back", "every_kind", back(2, "cutover-3", "cutover-4"), api.GapPermissive},
		{"the way back closes the waypoint's door first", "every_kind", func(t *testing.T, p *api.MigrationPlan) {
			// The way back from activate undoes prepare first.
			step(t, p, 2, "activate").Rollback = append(slices.Clone(step(t, p, 2, "prepare").Rollback), step(t, p, 2, "activate").Rollback...)
		}, api.GapRestrictive},
	}
}

// wayMutants make calls take another way than they should.
func wayMutants() []mutant {
	return []mutant{
		{"the waypoint is never activated", "l7_allow", dropStep("activate"), api.GapRestrictive},
		{"the waypoint is not made", "every_kind", dropKind("Gateway"), api.GapRestrictive},
		{"the waypoint is for workloads only", "every_kind", replaceKind("Gateway", `"istio.io/waypoint-for":"service"`, `"istio.io/waypoint-for":"workload"`), api.GapRestrictive},
		{"gateways go past the waypoint", "every_kind", replaceKind("Service", `"istio.io/ingress-use-waypoint":"true"`, `"x":"y"`), api.GapRestrictive},
		{"the label names a waypoint of a namespace that does not serve this one", "every_kind", replaceKind("Service", `"istio.io/use-waypoint":"waypoint"`, `"istio.io/use-waypoint":"waypoint","istio.io/use-waypoint-namespace":"front"`), api.GapRestrictive},
		{"pods lose their sidecars and are not captured", "l7_allow", dropStep("enrol"), api.GapPlaintext},
		{"the namespace stops injecting before all of it has moved", "callers_in_batches", func(t *testing.T, p *api.MigrationPlan) {
			last := step(t, p, 1, "cutover-3")
			first := step(t, p, 1, "cutover")
			i := slices.IndexFunc(last.Changes, func(c api.Change) bool { return c.Object.Kind == "Namespace" })
			first.Changes = append(first.Changes, last.Changes[i])
		}, api.GapRestrictive},
		{"routes are lost because nobody serves them", "routes", dropStep("activate"), api.GapRoutes},
		{"pods that are outside on purpose are captured", "every_kind", func(t *testing.T, p *api.MigrationPlan) {
			dropKind("Deployment/batch")(t, p)
			// What it runs as is admitted by identity once it has one.
			replace("no-admin-waypoint", "/admin*", "/nothing")(t, p)
		}, api.GapPermissive},
	}
}

// TestMutantsAreMany keeps the promise of at least twenty.
func TestMutantsAreMany(t *testing.T) {
	if n := len(slices.Concat(policyMutants(), routeMutants(), orderMutants(), wayMutants())); n < 20 {
		t.Errorf("%d ways to break a plan", n)
	}
}

// step finds a step of a wave.
func step(t *testing.T, p *api.MigrationPlan, wave int, name string) *api.Step {
	t.Helper()
	steps := p.Waves[wave].Steps
	i := slices.IndexFunc(steps, func(s api.Step) bool { return s.Name == name })
	if i < 0 {
		t.Fatalf("wave %d has no step %s", wave, name)
	}
	return &steps[i]
}

// everyChange edits the changes of all steps and ways back; edit returns false to
// drop one.
func everyChange(t *testing.T, p *api.MigrationPlan, edit func(step string, c *api.Change) bool) {
	t.Helper()
	list := func(name string, cs []api.Change) []api.Change {
		var out []api.Change
		for _, c := range cs {
			if edit(name, &c) {
				out = append(out, c)
			}
		}
		return out
	}
	for i := range p.Waves {
		for j := range p.Waves[i].Steps {
			s := &p.Waves[i].Steps[j]
			s.Changes = list(s.Name, s.Changes)
			for k := range s.Rollback {
				s.Rollback[k].Changes = list(s.Name, s.Rollback[k].Changes)
			}
		}
	}
}

// drop removes all changes of objects whose name ends so.
func drop(suffix string) func(*testing.T, *api.MigrationPlan) {
	return func(t *testing.T, p *api.MigrationPlan) {
		n := 0
		everyChange(t, p, func(_ string, c *api.Change) bool {
			hit := strings.HasSuffix(c.Object.Name, suffix)
			if hit {
				n++
			}
			return !hit
		})
		if n == 0 {
			t.Fatalf("the plan has nothing that is called %s", suffix)
		}
	}
}

// dropIn removes the change of one object in one step, and what a later step makes of it.
func dropIn(in, name string) func(*testing.T, *api.MigrationPlan) {
	return func(t *testing.T, p *api.MigrationPlan) {
		n := 0
		everyChange(t, p, func(step string, c *api.Change) bool {
			hit := step == in && c.Object.Name == name
			if hit {
				n++
			}
			return !hit
		})
		if n == 0 {
			t.Fatalf("step %s does not change %s", in, name)
		}
	}
}

// dropKind removes all changes of a kind, or of KIND/NAME.
func dropKind(kind string) func(*testing.T, *api.MigrationPlan) {
	kind, name, _ := strings.Cut(kind, "/")
	return func(t *testing.T, p *api.MigrationPlan) {
		n := 0
		everyChange(t, p, func(_ string, c *api.Change) bool {
			hit := c.Object.Kind == kind && (name == "" || c.Object.Name == name)
			if hit {
				n++
			}
			return !hit
		})
		if n == 0 {
			t.Fatalf("the plan changes no %s", kind)
		}
	}
}

// dropStep removes a step from all waves.
func dropStep(name string) func(*testing.T, *api.MigrationPlan) {
	return func(t *testing.T, p *api.MigrationPlan) {
		n := 0
		for i := range p.Waves {
			before := len(p.Waves[i].Steps)
			p.Waves[i].Steps = slices.DeleteFunc(p.Waves[i].Steps, func(s api.Step) bool { return s.Name == name })
			n += before - len(p.Waves[i].Steps)
		}
		if n == 0 {
			t.Fatalf("the plan has no step %s", name)
		}
	}
}

// replace edits the content of an object as JSON text.
func replace(name, old, with string) func(*testing.T, *api.MigrationPlan) {
	return func(t *testing.T, p *api.MigrationPlan) {
		replaceWhere(t, p, func(c *api.Change) bool { return c.Object.Name == name && c.Object.Kind == "AuthorizationPolicy" }, old, with)
	}
}

// replaceKind edits the contents of all objects of a kind, or of KIND/NAME, as JSON text.
func replaceKind(kind, old, with string) func(*testing.T, *api.MigrationPlan) {
	kind, name, _ := strings.Cut(kind, "/")
	return func(t *testing.T, p *api.MigrationPlan) {
		replaceWhere(t, p, func(c *api.Change) bool { return c.Object.Kind == kind && (name == "" || c.Object.Name == name) }, old, with)
	}
}

func replaceWhere(t *testing.T, p *api.MigrationPlan, which func(*api.Change) bool, old, with string) {
	t.Helper()
	n := 0
	everyChange(t, p, func(_ string, c *api.Change) bool {
		if c.After == nil || !which(c) {
			return true
		}
		text := asText(t, c.After)
		if strings.Contains(text, old) {
			n++
			c.After = asContent(t, strings.ReplaceAll(text, old, with))
		}
		return true
	})
	if n == 0 {
		t.Fatalf("nothing says %s", old)
	}
}

// swap exchanges the changes of two steps, and their ways back.
func swap(wave int, a, b string) func(*testing.T, *api.MigrationPlan) {
	return func(t *testing.T, p *api.MigrationPlan) {
		x, y := step(t, p, wave, a), step(t, p, wave, b)
		*x, *y = *y, *x
	}
}

// merge does what a step does in the next one, together with it.
func merge(wave int, first, next string) func(*testing.T, *api.MigrationPlan) {
	return func(t *testing.T, p *api.MigrationPlan) {
		x, y := step(t, p, wave, first), step(t, p, wave, next)
		y.Changes = append(slices.Clone(x.Changes), y.Changes...)
		x.Changes = nil
	}
}

// before moves a step in front of another.
func before(wave int, name, other string) func(*testing.T, *api.MigrationPlan) {
	return func(t *testing.T, p *api.MigrationPlan) {
		s := *step(t, p, wave, name)
		steps := slices.DeleteFunc(p.Waves[wave].Steps, func(x api.Step) bool { return x.Name == name })
		i := slices.IndexFunc(steps, func(x api.Step) bool { return x.Name == other })
		p.Waves[wave].Steps = slices.Insert(steps, i, s)
	}
}

// back lets the way back of a later step begin with that of an earlier one.
func back(wave int, earlier, later string) func(*testing.T, *api.MigrationPlan) {
	return func(t *testing.T, p *api.MigrationPlan) {
		l := step(t, p, wave, later)
		l.Rollback = append(slices.Clone(step(t, p, wave, earlier).Rollback), l.Rollback...)
	}
}

func asText(t *testing.T, c api.Content) string {
	t.Helper()
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func asContent(t *testing.T, text string) api.Content {
	t.Helper()
	var c api.Content
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return c
}
