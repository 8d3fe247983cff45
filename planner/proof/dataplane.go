package proof

import (
	"context"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// DataPlanes walks through the states of a plan as Prove does, and says who carries the traffic in each: the modes of
// all workloads and the waypoints in use. A step back leads through the same states. It fails only when ctx is done.
func DataPlanes(ctx context.Context, in Input) (*mesh.DataPlanes, error) {
	p := newProver(in)
	out := &mesh.DataPlanes{}
	for _, w := range p.list {
		out.Workloads = append(out.Workloads, w.Ref())
	}
	now, current := p.start, slices.Clone(p.startModes)
	out.States = append(out.States, p.dataPlane(now, current, current))
	for _, w := range in.Waves {
		for _, s := range w.Steps {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			now = p.advance(now, s.Changes)
			touched := map[string]bool{}
			for _, c := range s.Changes {
				touched[spaceOf(c.Object)] = true
			}
			during := slices.Clone(current)
			current = slices.Clone(current)
			for i, wl := range p.list {
				if touched[wl.Namespace] {
					current[i] = p.modesOf(now, wl)
					during[i] |= current[i]
				}
			}
			d := p.dataPlane(now, current, during)
			d.Wave, d.Step = w.Number, s.Name
			out.States = append(out.States, d)
		}
	}
	return out, nil
}

func (p *prover) dataPlane(w world, ends, during []modes) mesh.DataPlane {
	d := mesh.DataPlane{Waypoints: map[api.Ref]mesh.ActiveWaypoint{}}
	for i := range p.list {
		d.Modes = append(d.Modes, ends[i].each())
		d.During = append(d.During, during[i].each())
	}
	for svc := range p.behind {
		if wp := p.waypointOf(w, svc); wp != nil {
			d.Waypoints[svc.Ref()] = mesh.ActiveWaypoint{
				Namespace: wp.ref.Namespace, Name: wp.ref.Name, IngressUse: p.label(w, svc, mesh.LabelIngressUse) == "true",
			}
		}
	}
	return d
}
