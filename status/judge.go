package status

import (
	"fmt"
	"slices"
	"strings"
	"time"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/planner/rewind"
)

// dayFormat is how a plan writes days.
const dayFormat = "2006-01-02"

// Input is a plan and what was read of the cluster.
type Input struct {
	Plan *api.MigrationPlan
	// Was is the inventory that the plan was made from, Now one of today.
	Was, Now *api.Inventory
	// Objects are those of today with their status; a kind that is in the coverage of Now
	// as read is here in full.
	Objects map[api.Ref]api.Content
	// Today decides whether the day of a wave has come.
	Today time.Time
}

// Judge says where the mesh stands and whether the next step may start. It wraps
// rewind.ErrOtherMesh when the plan is of another cluster. The second result is the mesh
// without the migration, for proofs.
func Judge(in Input) (st *api.MigrationStatus, rewound *api.Inventory, err error) {
	res, err := rewind.Rewind(in.Plan, in.Was, in.Now)
	if err != nil {
		return nil, nil, err
	}
	j := newJudge(in)
	out := &api.MigrationStatus{
		TypeMeta: api.TypeMeta{APIVersion: api.APIVersion, Kind: api.KindMigrationStatus},
		Plan:     in.Plan.Digest, Off: res.Off, Drift: res.Drift,
	}
	if len(in.Now.Clusters) > 0 {
		out.Cluster = in.Now.Clusters[0].Name
	}
	done := j.steps(out, res)
	j.verdict(out, res, done)
	return out, res.Inventory, nil
}

type judge struct {
	Input
	all []*api.Step
	// days are the first days of the waves of all.
	days      []string
	workloads map[api.Ref]*api.Workload
	// moves are the workloads that the plan cuts over, with the step that does.
	moves map[api.Ref]int
}

func newJudge(in Input) *judge {
	j := &judge{Input: in, workloads: map[api.Ref]*api.Workload{}, moves: map[api.Ref]int{}}
	for i := range in.Now.Workloads {
		w := &in.Now.Workloads[i]
		j.workloads[anyCluster(w.Ref())] = w
	}
	for i := range in.Plan.Waves {
		for k := range in.Plan.Waves[i].Steps {
			s := &in.Plan.Waves[i].Steps[k]
			for _, c := range s.Checks {
				if c.Ask != nil && c.Ask.Kind == api.AskRolledOut {
					j.moves[anyCluster(c.Ask.Object)] = len(j.all)
				}
			}
			j.all, j.days = append(j.all, s), append(j.days, in.Plan.Waves[i].NotBefore)
		}
	}
	return j
}

// anyCluster drops the cluster, which files do not name and a context does.
func anyCluster(r api.Ref) api.Ref {
	r.Cluster = ""
	return r
}

// steps lists all steps with the checks that count now, and returns how many stand: those
// that objects show, and beyond them those that change no object and whose checks hold.
func (j *judge) steps(out *api.MigrationStatus, res *rewind.Result) int {
	done := res.Done
	for done < len(j.all) && !res.Partly && !changesObjects(j.all[done]) && j.allOK(done) {
		done++
	}
	for i, s := range j.all {
		st := api.StepStatus{StepPlace: res.Places[i], State: api.StepOpen}
		switch {
		case i < done:
			st.State = api.StepDone
			for _, c := range s.Checks {
				if c.When == "after" && counts(i, res.Done, done, c) {
					st.Checks = append(st.Checks, j.check(c, done))
				}
			}
		case i == done:
			if res.Partly {
				st.State, st.Missing = api.StepPartly, res.Missing
			}
			for _, c := range s.Checks {
				if c.When == "before" {
					st.Checks = append(st.Checks, j.check(c, done))
				}
			}
		}
		out.Steps = append(out.Steps, st)
	}
	return done
}

// changesObjects tells whether a step changes an object that can be looked at.
func changesObjects(s *api.Step) bool {
	return slices.ContainsFunc(s.Changes, func(c api.Change) bool {
		return c.Op != api.OpManual || c.Does != api.OpUnset && c.Does != api.OpManual
	})
}

// allOK tells whether a step that changes no object may be taken as done: everything that
// the API server can be asked after it holds.
func (j *judge) allOK(i int) bool {
	asked := false
	for _, c := range j.all[i].Checks {
		if c.When != "after" || c.Ask == nil {
			continue
		}
		asked = true
		if j.check(c, i).Result != api.CheckOK {
			return false
		}
	}
	return asked || len(j.all[i].Changes) == 0
}

// counts tells whether a check after a step that is done still says something. What only
// people can try is asked for after the last step, and after steps that no object shows:
// nobody but they can tell that these are done. That sidecars stay holds until the cutover.
func counts(i, shown, done int, c api.Check) bool {
	switch {
	case c.Ask == nil:
		return i == done-1 || i >= shown
	case c.Ask.Kind == api.AskSidecars:
		return i == done-1
	}
	return true
}

// check answers one check.
func (j *judge) check(c api.Check, done int) api.CheckStatus {
	out := api.CheckStatus{When: c.When, What: c.What, Command: c.Command, Result: api.CheckPerson}
	if c.Ask == nil || c.Ask.Kind == api.AskUnset {
		if c.Expect != "" {
			out.Seen = "expected: " + c.Expect
		}
		return out
	}
	a := j.answer(*c.Ask, done)
	out.Result, out.Seen = a.result, a.seen
	return out
}

// verdict puts the answers together.
func (j *judge) verdict(out *api.MigrationStatus, res *rewind.Result, done int) {
	if done > 0 {
		out.Last = &out.Steps[done-1].StepPlace
	}
	if done < len(out.Steps) {
		out.Next = &out.Steps[done].StepPlace
	}
	if !j.Plan.Complete {
		why := strings.Join(j.Plan.Incomplete, "; ")
		out.Because = append(out.Because, "the plan is not complete: "+why)
	}
	for _, o := range out.Off {
		out.Because = append(out.Because, fmt.Sprintf("%s is off the plan: %s", o.Object, withPaths(o.Why, o.Paths)))
	}
	for i := range out.Steps {
		st := &out.Steps[i]
		where := fmt.Sprintf("wave %d, %s", st.Wave, st.Step)
		if st.State == api.StepPartly {
			out.Because = append(out.Because, fmt.Sprintf("%s stands in part; it lacks %s", where, list(st.Missing)))
		}
		for _, c := range st.Checks {
			switch c.Result {
			case api.CheckOK:
			case api.CheckPerson:
				out.People = append(out.People, fmt.Sprintf("%s, %s: %s", where, c.When, c.What))
			case api.CheckNot:
				out.Because = append(out.Because, fmt.Sprintf("%s, %s: %s: %s", where, c.When, c.What, c.Seen))
			case api.CheckUnknown, api.CheckUnset:
				out.Because = append(out.Because, fmt.Sprintf("%s, %s: it is not known whether %s: %s", where, c.When, c.What, c.Seen))
			}
		}
	}
	for _, d := range out.Drift {
		if d.What == rewind.Unseen {
			out.Because = append(out.Because, fmt.Sprintf("%s: %s", d.Object.Kind, d.Why))
		}
	}
	stop, people := touching(out)
	out.Because, out.People = append(out.Because, stop...), append(out.People, people...)
	if done < len(j.days) && j.days[done] > j.Today.UTC().Format(dayFormat) {
		out.Because = append(out.Because, fmt.Sprintf("wave %d does not start before %s", res.Places[done].Wave, j.days[done]))
	}
	switch {
	case len(out.Because) > 0:
		out.Verdict = api.Stop
	case done == len(j.all):
		out.Verdict = api.AllDone
	default:
		out.Verdict = api.MayProceed
	}
}

func withPaths(s string, paths []string) string {
	if len(paths) == 0 {
		return s
	}
	return s + " (" + strings.Join(paths, ", ") + ")"
}

// maxListed bounds how many objects a sentence names.
const maxListed = 5

func list(refs []api.Ref) string {
	var out []string
	for i, r := range refs {
		if i == maxListed {
			out = append(out, fmt.Sprintf("%d more", len(refs)-i))
			break
		}
		out = append(out, r.String())
	}
	return strings.Join(out, ", ")
}
