package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/inventory"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner"
	"github.com/ambientplan/ambientplan/render"
)

type verifyOptions struct {
	inventory string
	policy    string
	step      string
	output    outputFlag
}

func newVerifyCmd(s *streams) *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:   "verify PLAN",
		Short: "Prove every state of a plan as it stands, or show the request that is treated differently",
		Long: `verify goes through every state of a plan: each step with its changes taking hold in
any order and its workloads half restarted, and each step of each way back. In every
state it compares who may do what, and which connections are encrypted, with today,
for all requests that the policies can tell apart. Where a state differs it prints
one request that shows it, and what can be done.

The plan is taken as it stands: a step that was moved or a change that was removed
by hand is judged by what it does. The inventory must be the one that the plan was
made from; by default it is inventory.yaml beside the plan.

The calls that a service is judged by are those that the plan was made with, besides
those that policies and routes of the inventory name. A service whose callers nobody
named is judged for everybody.

The exit code is 1 when a state has a gap that nobody consented to, or is unknown.`,
		Args: onePlan,
		Example: s.examples(
			"verify out/plan.yaml",
			"# one step with its ways back, proved or not",
			"verify out/plan.yaml --step 2/cutover",
			"# with the consents of the platform team",
			"verify out/plan.yaml --policy policy.yaml",
		),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), s, args[0]) },
	}
	f := cmd.Flags()
	f.StringVarP(&o.inventory, "inventory", "i", "", "snapshot that the plan was made from (default inventory.yaml beside the plan)")
	f.StringVar(&o.policy, "policy", "", "MigrationPolicy with consents to gaps")
	f.StringVar(&o.step, "step", "", "one step, as WAVE/STEP")
	o.output.add(cmd, "text", "yaml", "json")
	return cmd
}

func (o *verifyOptions) run(ctx context.Context, s *streams, plan string) error {
	if err := o.output.check(); err != nil {
		return err
	}
	p, err := decodeFile(s, plan, api.Decode[api.MigrationPlan])
	if err != nil {
		return err
	}
	only, err := o.only(plan, p)
	if err != nil {
		return err
	}
	inv, err := o.readInventory(s, plan, p)
	if err != nil {
		return err
	}
	var policy *api.MigrationPolicy
	if o.policy != "" {
		if policy, err = decodeFile(s, o.policy, api.DecodePolicy); err != nil {
			return err
		}
	}
	doing := s.progress()
	defer doing.end()
	doing.stage("proving")
	st, _ := mesh.New(inv)
	if err := planner.Reprove(ctx, st, p, policy); err != nil {
		return err
	}
	doing.end()
	if o.output.value == "text" {
		err = render.Proofs(s.out, p, only)
	} else {
		err = encode(s.out, o.output.value, p)
	}
	if err != nil {
		return err
	}
	return judgeProofs(p, only)
}

// readInventory reads what the plan was made from, and refuses anything else.
func (o *verifyOptions) readInventory(s *streams, plan string, p *api.MigrationPlan) (*api.Inventory, error) {
	path := o.inventory
	if path == "" {
		path = filepath.Join(filepath.Dir(plan), "inventory.yaml")
		if _, err := os.Stat(path); plan == "-" || err != nil {
			return nil, usageErrorf("there is no %s beside the plan: name the inventory that it was made from with -i", path)
		}
	}
	if err := oneStdin(plan, path); err != nil {
		return nil, err
	}
	inv, err := decodeFile(s, path, api.Decode[api.Inventory])
	if err != nil {
		return nil, err
	}
	inv = inventory.Alone(inv)
	got, err := inputDigest(inv, p.Calls)
	if err != nil {
		return nil, internalErrorf("%w", err)
	}
	if got != p.InputDigest {
		return nil, usageErrorf("%s is not what %s was made from, or the calls in the plan were changed: their digest is %s and the plan says %q; make the plan again", path, plan, got, p.InputDigest)
	}
	return inv, nil
}

// only reads --step; nil without.
func (o *verifyOptions) only(plan string, p *api.MigrationPlan) (func(render.StateRef) bool, error) {
	if o.step == "" {
		return nil, nil
	}
	wave, step, ok := strings.Cut(o.step, "/")
	n, err := strconv.Atoi(wave)
	if !ok || err != nil {
		return nil, usageErrorf("--step is %q; it must be WAVE/STEP, for example 1/cutover", o.step)
	}
	var have []string
	for _, w := range p.Waves {
		for _, st := range w.Steps {
			if w.Number == n && st.Name == step {
				return func(r render.StateRef) bool { return r.Wave == n && r.Step == step }, nil
			}
			have = append(have, fmt.Sprintf("%d/%s", w.Number, st.Name))
		}
	}
	return nil, usageErrorf("%s has no step %s; its steps are %s", plan, o.step, strings.Join(have, ", "))
}

// judgeProofs is the error with exit code 1 when a state is not proved and nobody
// consented to its gaps.
func judgeProofs(p *api.MigrationPlan, only func(render.StateRef) bool) error {
	gaps, unknown := 0, 0
	render.EachProof(p, func(ref render.StateRef, _ []string, x api.Proof) {
		switch {
		case only != nil && !only(ref), x.Result == api.Proved, planner.Consented(x):
		case x.Result == api.Gap:
			gaps++
		default:
			unknown++
		}
	})
	if gaps+unknown == 0 {
		return nil
	}
	return findingsErrorf("%s with gaps that nobody consented to, %s unknown (exit code 1)", plural(gaps, "state"), plural(unknown, "state"))
}
