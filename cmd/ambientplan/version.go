package main

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is written into plans. It is a constant and not taken from the build,
// so that a plan's bytes depend on the release and not on who compiled it.
const version = "0.1.0-dev"

func newVersionCmd(s *streams) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version, and the versions of the APIs it was built with",
		Args:    cobra.NoArgs,
		Example: s.examples("version"),
		RunE: func(*cobra.Command, []string) error {
			fmt.Fprintf(s.out, "ambientplan %s\n", version)
			info, ok := debug.ReadBuildInfo()
			if !ok {
				return nil
			}
			fmt.Fprintf(s.out, "  %-24s %s\n", "go", info.GoVersion)
			for _, dep := range info.Deps { // sorted by path
				switch dep.Path {
				case "istio.io/api", "istio.io/client-go", "sigs.k8s.io/gateway-api", "sigs.k8s.io/kustomize/api":
					fmt.Fprintf(s.out, "  %-24s %s\n", dep.Path, dep.Version)
				}
			}
			for _, kv := range info.Settings {
				if kv.Key == "vcs.revision" {
					fmt.Fprintf(s.out, "  %-24s %s\n", "commit", kv.Value)
				}
			}
			return nil
		},
	}
}
