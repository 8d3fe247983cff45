package proof

import (
	"fmt"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// Ask is one request on one way: from one pod of a caller to one pod of a server.
type Ask struct {
	// Service is called, at one of its ports; Workload is behind it.
	Service, Workload api.Ref
	Port              int32
	// Client and Server are the modes of the two pods. An identity that the client
	// has stands in Request.Principal; its address and port need not be set.
	Client, Server mesh.Mode
	// Direct: the pod is addressed and not the Service.
	Direct  bool
	Request mesh.Request
}

// Decide tells what becomes of a request in a situation, by the same judgement as
// the proof: at the waypoint, if the way leads over it, and at the pod. An error
// says that the Service, its port or the workload is not there.
func (t *Trial) Decide(s *Situation, a Ask) (mesh.Verdict, error) {
	x, v := t.viewIn(s, a.Service)
	if x == nil {
		return mesh.Verdict{}, fmt.Errorf("%s has no pods", a.Service)
	}
	i := slices.IndexFunc(v.pods, func(p podView) bool { return p.workload.Ref() == a.Workload })
	n := slices.IndexFunc(x.ports, func(c call) bool { return c.port.Port == a.Port && !c.pods })
	if i < 0 || n < 0 {
		return mesh.Verdict{}, fmt.Errorf("%s has no port %d or no pods of %s", a.Service, a.Port, a.Workload)
	}
	c := x.ports[n]
	c.principal = a.Request.Principal
	e := t.p.enforcersOf(v, &v.pods[i], &c)
	return t.p.judge(&e, way{client: a.Client, server: a.Server, direct: a.Direct}, &c, a.Request).Verdict, nil
}

// Policies are the AuthorizationPolicies that a situation applies to calls of a
// Service that reach a workload: at the waypoint, and at the pod.
func (t *Trial) Policies(s *Situation, service, workload api.Ref) (waypoint, pod []authorization) {
	x, v := t.viewIn(s, service)
	if x == nil {
		return nil, nil
	}
	for _, p := range v.pods {
		if p.workload.Ref() == workload {
			pod = plain(p.policies)
		}
	}
	return plain(v.attached), pod
}

// viewIn is the view of a Service in a situation, built once.
func (t *Trial) viewIn(s *Situation, service api.Ref) (*target, *view) {
	x := t.targets[service]
	if x == nil {
		return nil, nil
	}
	v := s.views[x]
	if v == nil {
		built := t.p.viewOf(s.world, x.service)
		v = &built
		s.views[x] = v
	}
	return x, v
}
