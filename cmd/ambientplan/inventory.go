package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"sigs.k8s.io/yaml"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/inventory"
)

type inventoryOptions struct {
	source sourceFlags
	output outputFlag
	calls  callFlags
	redact bool
	out    string
	// printRBAC prints the role that reading a cluster takes, for subject and revisions.
	printRBAC bool
	subject   string
	revisions []string
}

func newInventoryCmd(s *streams) *cobra.Command {
	var o inventoryOptions
	cmd := &cobra.Command{
		Use:   "inventory -f PATH... | inventory --context CONTEXT...",
		Short: "Write a snapshot of what concerns the mesh in a cluster or in manifests",
		Long: `inventory reads a running cluster, or manifests, kustomizations and the output of
"kubectl get -o yaml", into one file that holds what concerns the mesh: namespaces,
workloads with what is in their pods, services with their protocols, and the objects of
Istio and Gateway API. It keeps no Secret and no value of an environment variable.

A cluster is only listed, never changed; --print-rbac prints the role that this takes.
A kind that may not be listed is "forbidden" in the coverage, and whatever it could
change is unknown in a plan.

A document that cannot be read is listed under unknowns, with file and line, and
the rest is still read.`,
		Args: onlyFlags,
		Example: s.examples(
			"inventory --context prod --out inventory.yaml",
			"# with the calls that metrics show",
			"inventory --context prod --prometheus http://localhost:9090 --out inventory.yaml",
			"# to show to others",
			"inventory --context prod --redact --out shown.yaml",
			"# the role that this takes, for a service account",
			"inventory --print-rbac --subject tools/ambientplan | kubectl apply -f -",
			"inventory -f manifests/ --out inventory.yaml",
			"# what is really running, pods included",
			"inventory -f snapshot.yaml -o table",
			"inventory -f - < snapshot.yaml",
		),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return err
			}
			if o.printRBAC {
				return o.rbac(s)
			}
			doing := s.progress()
			defer doing.end()
			doing.stage("reading")
			inv, err := o.source.read(cmd.Context(), s, doing)
			if err != nil {
				return err
			}
			doing.end()
			if err := o.calls.read(cmd.Context(), s, inv); err != nil {
				return err
			}
			if o.redact {
				if inv, err = inventory.Redact(inv); err != nil {
					return internalErrorf("%w", err)
				}
			}
			return o.write(s, inv)
		},
	}
	o.source.add(cmd)
	o.output.add(cmd, "yaml", "json", "table")
	o.calls.add(cmd)
	cmd.Flags().StringVar(&o.out, "out", "", "write to this file instead of stdout")
	cmd.Flags().BoolVar(&o.redact, "redact", false, "replace names by others, the same name by the same one, so that the snapshot can be shown to others")
	cmd.Flags().BoolVar(&o.printRBAC, "print-rbac", false, "print the role and the binding that reading a cluster takes, and read nothing")
	cmd.Flags().StringVar(&o.subject, "subject", "", "with --print-rbac: the user, or NAMESPACE/NAME of the service account, that is bound to the role")
	cmd.Flags().StringArrayVar(&o.revisions, "revision", nil, "with --print-rbac: a revision of Istio besides the default one; can be repeated")
	return cmd
}

func (o *inventoryOptions) check() error {
	if err := o.output.check(); err != nil {
		return err
	}
	if err := errors.Join(o.source.check(), o.calls.check()); err != nil {
		return err
	}
	switch {
	case o.printRBAC && (len(o.source.files) > 0 || o.source.live()):
		return usageErrorf("--print-rbac reads nothing: leave -f and --context out")
	case !o.printRBAC && (o.subject != "" || len(o.revisions) > 0):
		return usageErrorf("--subject and --revision belong to --print-rbac")
	case len(o.source.files) == 0 && !o.source.live() && !o.printRBAC:
		return usageErrorf("say what to read with -f PATH or --context CONTEXT")
	}
	return oneStdin(append(slices.Clone(o.source.files), o.calls.files()...)...)
}

// rbac prints the role that reading a cluster takes.
func (o *inventoryOptions) rbac(s *streams) error {
	role, binding := inventory.Role(o.revisions, o.subject)
	for i, v := range []any{role, binding} {
		b, err := yaml.Marshal(v)
		if err != nil {
			return internalErrorf("%w", err)
		}
		if i > 0 {
			b = append([]byte("---\n"), b...)
		}
		if _, err := s.out.Write(b); err != nil {
			return err
		}
	}
	if o.subject == "" {
		s.notef("note: put the user or service account in for REPLACE-ME, or name it with --subject")
	}
	return nil
}

func (o *inventoryOptions) write(s *streams, inv *api.Inventory) error {
	var b bytes.Buffer
	var err error
	if o.output.value == "table" {
		err = inventoryTable(&b, inv)
	} else {
		err = encode(&b, o.output.value, inv)
	}
	if err != nil {
		return internalErrorf("%w", err)
	}
	if n := len(inv.Unknowns); n > 0 {
		s.notef("note: %s in the inventory; see its list of unknowns", plural(n, "unknown"))
	}
	if o.out == "" {
		if _, err := s.out.Write(b.Bytes()); err != nil {
			return err
		}
		return unread(inv)
	}
	if err := writeFile(o.out, b.Bytes()); err != nil {
		return err
	}
	s.notef("wrote %s", o.out)
	s.notef("next: %s plan -i %s", s.name, o.out)
	return unread(inv)
}

// inventoryTable summarises an inventory for a person: what was read, how many
// of each kind, and what could not be known.
func inventoryTable(w io.Writer, inv *api.Inventory) error {
	d := inv.Documents
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(tw, "DOCUMENTS\t%d read\t%d kept, %d irrelevant, %d unreadable, %d duplicate\n\n", d.Read, d.Kept, d.Irrelevant, d.Unreadable, d.Duplicate)
	fmt.Fprintln(tw, "KIND\tCOUNT\tSEEN")
	var absent []string
	for _, c := range inv.Coverage {
		kind := c.Kind
		if c.Group != "" {
			kind += "." + c.Group
		}
		if c.State == api.Absent {
			absent = append(absent, kind)
			continue
		}
		fmt.Fprintf(tw, "%s\t%d\t%s\n", printable(kind), c.Count, printable(string(c.State)))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	if len(absent) > 0 {
		fmt.Fprintf(w, "\nNone in the input, which is taken as true:\n%s\n", wrap(strings.Join(absent, ", "), tableWidth))
	}
	if len(inv.Unknowns) == 0 {
		return nil
	}
	fmt.Fprintf(w, "\nUNKNOWN\n")
	for _, u := range inv.Unknowns {
		fmt.Fprintf(w, "- %s\n", printable(strings.TrimSpace(u.What)))
		for _, e := range u.Evidence {
			if e.Source != "" && !strings.Contains(u.What, e.Source) {
				fmt.Fprintf(w, "  %s\n", printable(e.Source))
			}
		}
	}
	return nil
}
