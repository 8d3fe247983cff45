package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"time"

	"github.com/spf13/cobra"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/cluster"
	"github.com/ambientplan/ambientplan/inventory"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner"
	"github.com/ambientplan/ambientplan/planner/rewind"
	"github.com/ambientplan/ambientplan/render"
	"github.com/ambientplan/ambientplan/status"
)

type statusOptions struct {
	context    string
	kubeconfig string
	as         string
	output     outputFlag
	color      colorFlag
	watch      bool
	interval   time.Duration
	timeout    time.Duration
}

func newStatusCmd(s *streams) *cobra.Command {
	var o statusOptions
	cmd := &cobra.Command{
		Use:   "status PLAN --context CONTEXT",
		Short: "Say where a cluster stands in a plan, and whether the next step may start",
		Long: `status reads a running cluster and compares it with a plan: which steps stand, whether
what must be seen after them and before the next one is there, what is off the plan, and
what others changed since the plan was made. What the API server can answer is asked:
labels, sidecars and capture of pods, rollouts, conditions of waypoints, routes, Services
and policies with their reasons. What only a person can check is listed.

PLAN is the file, or the directory of the tree; inventory.yaml must stand beside it. The
cluster is only listed, with the role that "inventory --print-rbac" prints.

The exit code is 0 when the next step may start or all are done, 1 when it must not, and 3
when the cluster gave no answer. With --watch it waits until the next step may start.`,
		Args: onePlan,
		Example: s.examples(
			"status out/ --context prod",
			"# in a pipeline, before the commit of the next step",
			"status out/ --context prod --watch --timeout 15m",
			"status out/plan.yaml --context prod -o json",
		),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), s, args[0]) },
	}
	f := cmd.Flags()
	f.StringVar(&o.context, "context", "", "context of the kubeconfig (default the current one)")
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig to use")
	f.StringVar(&o.as, "as", "", "user to act as in the cluster")
	o.output.add(cmd, "table", "markdown", "yaml", "json")
	o.color.add(cmd)
	f.BoolVar(&o.watch, "watch", false, "ask again until the next step may start, or all are done")
	f.DurationVar(&o.interval, "interval", 10*time.Second, "with --watch: how long to wait before asking again")
	f.DurationVar(&o.timeout, "timeout", 0, "with --watch: give up after this long; 0 is never")
	return cmd
}

func (o *statusOptions) run(ctx context.Context, s *streams, path string) error {
	if err := errors.Join(o.output.check(), o.color.check()); err != nil {
		return err
	}
	if o.interval < time.Second {
		return usageErrorf("--interval is %s; it must be a second at least", o.interval)
	}
	p, was, err := readFollowed(s, path)
	if err != nil {
		return err
	}
	c, err := cluster.Connect(cluster.Options{Kubeconfig: o.kubeconfig, Context: o.context, Impersonate: o.as})
	if err != nil {
		return usageErrorf("%w", err)
	}
	limit := ctx
	if o.watch && o.timeout > 0 {
		var cancel context.CancelFunc
		limit, cancel = context.WithTimeout(ctx, o.timeout)
		defer cancel()
	}
	for last := ""; ; {
		st, err := o.ask(ctx, s, c, p, was)
		if err != nil {
			return err
		}
		var b bytes.Buffer
		if err := o.print(&b, s, st); err != nil {
			return internalErrorf("%w", err)
		}
		if !o.watch || st.Verdict != api.Stop {
			if _, err := s.out.Write(b.Bytes()); err != nil {
				return err
			}
			return judgeStatus(st)
		}
		if now := standsAndWaits(st); now != last {
			s.notef("%s", now)
			last = now
		}
		select {
		case <-limit.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if _, err := s.out.Write(b.Bytes()); err != nil {
				return err
			}
			return findingsErrorf("after %s the next step may still not start (exit code 1)", o.timeout)
		case <-time.After(o.interval):
		}
	}
}

// standsAndWaits is a line about a mesh that is watched.
func standsAndWaits(st *api.MigrationStatus) string {
	line := "no step stands yet"
	if st.Last != nil {
		line = "after step " + st.Last.Step
	}
	if len(st.Because) > 0 {
		line += "; waiting: " + st.Because[0]
	}
	return line
}

// ask reads the cluster and judges it.
func (o *statusOptions) ask(ctx context.Context, s *streams, c *cluster.Client, p *api.MigrationPlan, was *api.Inventory) (*api.MigrationStatus, error) {
	doing := s.progress()
	defer doing.end()
	doing.stage("reading " + c.Name())
	objects := map[api.Ref]api.Content{}
	now, err := inventory.ReadCluster(ctx, c, inventory.LiveOptions{Each: func(x api.Content) { keepStatus(objects, x) }})
	if err != nil {
		return nil, err
	}
	st, rewound, err := status.Judge(status.Input{Plan: p, Was: was, Now: now, Objects: objects, Today: s.now})
	switch {
	case errors.Is(err, rewind.ErrOtherMesh):
		return nil, usageErrorf("cluster %s: %w", c.Name(), err)
	case err != nil:
		return nil, err
	}
	st.Cluster = c.Name()
	if len(st.Drift) > 0 {
		doing.stage("proving what is left with what others changed")
		again, err := reproved(ctx, p, rewound)
		if err != nil {
			return nil, err
		}
		status.AddProof(st, status.CompareProofs(p, again, stepsDone(st)))
	}
	return st, nil
}

// keepStatus keeps of an object what questions are about.
func keepStatus(into map[api.Ref]api.Content, o api.Content) {
	kind, _ := o["kind"].(string)
	switch kind {
	case "Deployment", "StatefulSet", "DaemonSet", "Rollout", "Gateway", "Service", "ServiceEntry", "AuthorizationPolicy", "HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute":
	default:
		return
	}
	version, _ := o["apiVersion"].(string)
	meta, _ := o["metadata"].(map[string]any)
	name, _ := meta["name"].(string)
	namespace, _ := meta["namespace"].(string)
	c := maps.Clone(o) // the reader of inventories takes the status away
	if spec, ok := c["spec"].(map[string]any); ok && spec["template"] != nil {
		spec = maps.Clone(spec)
		delete(spec, "template")
		c["spec"] = spec
	}
	into[api.Ref{Group: api.GroupOf(version), Kind: kind, Namespace: namespace, Name: name}] = c
}

// reproved is the plan with its proofs for another mesh.
func reproved(ctx context.Context, p *api.MigrationPlan, inv *api.Inventory) (*api.MigrationPlan, error) {
	b, err := json.Marshal(p)
	if err != nil {
		return nil, internalErrorf("%w", err)
	}
	var again api.MigrationPlan
	if err := json.Unmarshal(b, &again); err != nil {
		return nil, internalErrorf("%w", err)
	}
	st, _ := mesh.New(inv)
	return &again, planner.Reprove(ctx, st, &again, nil)
}

// stepsDone counts the steps that stand.
func stepsDone(st *api.MigrationStatus) int {
	n := 0
	for _, x := range st.Steps {
		if x.State == api.StepDone {
			n++
		}
	}
	return n
}

func (o *statusOptions) print(b *bytes.Buffer, s *streams, st *api.MigrationStatus) error {
	switch o.output.value {
	case "table":
		b.Write(render.Status(st, tableWidth, o.color.on(s)))
		return nil
	case "markdown":
		b.Write(render.StatusMarkdown(st))
		return nil
	}
	return encode(b, o.output.value, st)
}

// judgeStatus is the error with exit code 1 when the next step must not start.
func judgeStatus(st *api.MigrationStatus) error {
	if st.Verdict == api.MayProceed || st.Verdict == api.AllDone {
		return nil
	}
	return findingsErrorf("the next step must not start: %s (exit code 1)", plural(len(st.Because), "reason"))
}
