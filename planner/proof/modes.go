package proof

import (
	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// modes is a set of data plane modes.
type modes uint8

func only(m mesh.Mode) modes { return 1 << m }

func (s modes) has(m mesh.Mode) bool { return s&only(m) != 0 }

// each lists the modes of a set in their order.
func (s modes) each() []mesh.Mode {
	var out []mesh.Mode
	for m := mesh.ModeUnknown; m <= mesh.ModeGateway; m++ {
		if s.has(m) {
			out = append(out, m)
		}
	}
	return out
}

// fresh is the mode of a pod of the workload that is created in this state.
func (p *prover) fresh(w world, wl *api.Workload, labels map[string]string) mesh.Mode {
	if p.todayModes[wl.Ref()].has(mesh.ModeGateway) {
		return mesh.ModeGateway
	}
	ns := p.st.Namespace(wl.Namespace)
	if ns == nil {
		return mesh.ModeUnknown
	}
	n, t := *ns, *wl
	n.Labels, t.PodLabels = labels, w.podLabels(wl)
	return mesh.FreshMode(&n, &t)
}

// modesOf are the modes that pods of a workload may have in a state: that of the
// pods that run, and that of a pod which is recreated now, where the plan has
// changed what that would be. A running pod keeps its sidecar until it is
// recreated; one without follows the labels live (facts E-22).
func (p *prover) modesOf(w world, wl *api.Workload) modes {
	s := w.space(wl.Namespace)
	running, restarted := s.running[wl.Ref()]
	if !restarted {
		running = p.todayModes[wl.Ref()]
	}
	var out modes
	for _, m := range running.each() {
		switch m {
		case mesh.ModeAmbient, mesh.ModeNone:
			out |= p.live(w, wl)
		default:
			out |= only(m)
		}
	}
	if now := p.fresh(w, wl, s.labels); restarted || now != p.todayFresh[wl.Ref()] {
		out |= only(now)
	}
	return out
}

// observed are the modes that pods of a workload have today.
func (p *prover) observed(wl *api.Workload) modes {
	m := p.st.Mode(wl)
	if m != mesh.ModeMixed {
		return only(m)
	}
	var out modes
	for _, c := range []struct {
		n int
		m mesh.Mode
	}{{wl.Pods.Sidecar, mesh.ModeSidecar}, {wl.Pods.Ambient, mesh.ModeAmbient}, {wl.Pods.Uncaptured, mesh.ModeNone}} {
		if c.n > 0 {
			out |= only(c.m)
		}
	}
	return out
}

// live is the mode of a running pod that has no sidecar.
func (p *prover) live(w world, wl *api.Workload) modes {
	ns := p.st.Namespace(wl.Namespace)
	if ns == nil {
		return only(mesh.ModeUnknown)
	}
	n, t := *ns, *wl
	n.Labels, t.PodLabels = w.space(wl.Namespace).labels, w.podLabels(wl)
	if mesh.Captured(&n, &t) {
		return only(mesh.ModeAmbient)
	}
	return only(mesh.ModeNone)
}
