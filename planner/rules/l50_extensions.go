package rules

import (
	"fmt"
	"strings"

	typeapi "istio.io/api/type/v1beta1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l50 = Rule{
	ID: "L50", Title: "Wasm and Lua extensions run at a waypoint only",
	Doc: Doc{
		Why: "ztunnel runs no extension. A WasmPlugin or TrafficExtension with a selector acts in sidecars and does nothing in ambient mode; with targetRefs it acts at a " +
			"waypoint. A waypoint is a server-side listener: matches of mode CLIENT never fire there.",
		Effect: "the extension goes on existing and stops running, without an error; for one that authenticates or authorizes, every request it refused is let through",
		Remedy: "give the services a waypoint and let the plan copy the extension with targetRefs before the cutover; test the copy with a request that must be refused",
		Sources: []string{"istio/istio pilot/pkg/model/extensions.go (workloadModeForListenerClass)", "istio/istio pilot/pkg/networking/core/listener_waypoint.go",
			"istio.io: Extend waypoints with WebAssembly plugins"},
		Facts: []string{"L-50", "B-07"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindNamespace, mesh.KindService, mesh.KindTrafficExtension, mesh.KindWasmPlugin, mesh.KindWorkload},
	Check: checkL50,
}

// extension is what WasmPlugin and TrafficExtension have in common.
type extension struct {
	ref      api.Ref
	cap      api.Capability
	selector map[string]string
	targets  []*typeapi.PolicyTargetReference
	phase    string
	url      string
	// clientOnly is true when every match is of mode CLIENT, client when one is.
	clientOnly, client bool
	// hostEnv is true when the VM takes variables of the proxy it runs in.
	hostEnv bool
	// body are the paths of what the extension runs.
	body []string
	// code is where url stands.
	code string
}

func checkL50(p *Pass) {
	st := p.Mesh()
	for _, o := range st.WasmPlugins() {
		e := extension{ref: o.Ref(), cap: api.CapWasm, selector: o.Spec.GetSelector().GetMatchLabels(), targets: o.Spec.GetTargetRefs(),
			phase: o.Spec.GetPhase().String(), url: o.Spec.GetUrl(), code: "spec.url",
			body: []string{"url", "sha256", "imagePullPolicy", "imagePullSecret", "verificationKey", "pluginConfig", "pluginName", "phase", "priority", "failStrategy", "vmConfig", "type"}}
		if t := o.Spec.GetTargetRef(); t != nil {
			e.targets = append(e.targets, t)
		}
		modes := make([]typeapi.WorkloadMode, 0, len(o.Spec.GetMatch()))
		for _, m := range o.Spec.GetMatch() {
			modes = append(modes, m.GetMode())
		}
		e.clientOnly, e.client = clientModes(modes)
		for _, v := range o.Spec.GetVmConfig().GetEnv() {
			e.hostEnv = e.hostEnv || v.GetValueFrom().String() == "HOST"
		}
		checkExtension(p, e)
	}
	for _, o := range st.TrafficExtensions() {
		e := extension{ref: o.Ref(), cap: api.CapExtension, selector: o.Spec.GetSelector().GetMatchLabels(), targets: o.Spec.GetTargetRefs(),
			phase: o.Spec.GetPhase().String(), url: o.Spec.GetWasm().GetUrl(), code: "spec.wasm.url", body: []string{"phase", "priority", "wasm", "lua"}}
		modes := make([]typeapi.WorkloadMode, 0, len(o.Spec.GetMatch()))
		for _, m := range o.Spec.GetMatch() {
			modes = append(modes, m.GetMode())
		}
		e.clientOnly, e.client = clientModes(modes)
		for _, v := range o.Spec.GetWasm().GetVmConfig().GetEnv() {
			e.hostEnv = e.hostEnv || v.GetValueFrom().String() == "HOST"
		}
		checkExtension(p, e)
	}
}

// clientModes tells whether all, or some, of the modes are CLIENT. Without a
// match, or with an undefined mode, both sides are meant.
func clientModes(modes []typeapi.WorkloadMode) (only, some bool) {
	only = len(modes) > 0
	for _, m := range modes {
		if m == typeapi.WorkloadMode_CLIENT {
			some = true
		} else {
			only = false
		}
	}
	return only, some
}

func checkExtension(p *Pass, e extension) {
	st := p.Mesh()
	for _, f := range append([]string{"selector", "targetRef", "targetRefs", "match"}, e.body...) {
		p.Account(Field(e.ref, "spec."+f, ""))
	}
	if len(e.targets) > 0 {
		checkTargetedExtension(p, e)
		return
	}
	all := st.Selected(e.ref.Namespace, e.selector)
	members := membersOf(st, all)
	if len(members) == 0 {
		if len(all) == 0 {
			p.ReportWith(api.Warning, e.ref, fmt.Sprintf("%s selects no workload that was read", e.ref),
				"it does nothing today, or it is meant for pods that this inventory does not hold", "remove it, or add the workloads that it is meant for", Field(e.ref, selectorPath(e.selector), ""))
		}
		return
	}
	at := Field(e.ref, selectorPath(e.selector), "")
	if e.clientOnly {
		for _, w := range members {
			needOf(p, w, api.CapHumanDecision, fmt.Sprintf("%s acts on the requests that it sends, and nothing in ambient mode runs an extension for a client", e.ref), Field(e.ref, "spec.match", "CLIENT"))
		}
		p.ReportWith(api.Blocker, e.ref, fmt.Sprintf("%s acts on outgoing requests of its workloads only (mode CLIENT)", e.ref),
			"ztunnel runs no extension and a waypoint runs those of servers, so it stops acting on every request these workloads send",
			"decide whether the services that are called should run it at their waypoints, or whether these clients keep their sidecars", Field(e.ref, "spec.match", "CLIENT"))
		return
	}
	for _, w := range members {
		needOf(p, w, e.cap, fmt.Sprintf("%s runs in its sidecar; ztunnel runs no extension", e.ref), at)
	}
	reportExtensionLimits(p, e, at)
}

// reportExtensionLimits says what a copy at the waypoint does differently.
func reportExtensionLimits(p *Pass, e extension, at api.Evidence) {
	if e.phase == "AUTHN" || e.phase == "AUTHZ" {
		p.ReportWith(api.Warning, e.ref, fmt.Sprintf("%s runs in phase %s, so it decides who gets in", e.ref, e.phase),
			"requests that go past the waypoint, from clients that still have sidecars or straight to a pod's address, are not checked by it: they are let through",
			"let every client move before the server, and close the way past the waypoint for workloads in the finalize step", Field(e.ref, "spec.phase", e.phase), at)
	}
	if e.client {
		p.ReportWith(api.Warning, e.ref, fmt.Sprintf("%s has matches of mode CLIENT", e.ref),
			"a waypoint is a server-side listener, so these matches never fire there: the extension stops acting on outgoing requests",
			"check whether the outgoing half is needed, and attach it to the services that are called", Field(e.ref, "spec.match", "CLIENT"))
	}
	if strings.HasPrefix(e.url, "file:") {
		p.ReportWith(api.Warning, e.ref, fmt.Sprintf("%s loads its module from a file of the sidecar", e.ref),
			"the waypoint's pod does not have this file; a module that cannot be loaded refuses all requests, or with failStrategy FAIL_OPEN is left out",
			"serve the module from an OCI registry or by HTTP", Field(e.ref, e.code, e.url))
	}
	if e.hostEnv {
		p.ReportWith(api.Warning, e.ref, fmt.Sprintf("%s reads environment variables of the sidecar", e.ref),
			"the waypoint's pod does not have these variables, so the extension runs without them",
			"write the values into vmConfig.env, or give the waypoint the variables", Field(e.ref, strings.TrimSuffix(e.code, "url")+"vmConfig", "valueFrom HOST"))
	}
}

// checkTargetedExtension looks at extensions that only act at waypoints and gateways.
func checkTargetedExtension(p *Pass, e extension) {
	st := p.Mesh()
	for _, t := range e.targets {
		if t.GetKind() != "Service" {
			continue
		}
		ns := t.GetNamespace()
		if ns == "" {
			ns = e.ref.Namespace
		}
		at := Field(e.ref, "spec.targetRefs", t.GetKind()+" "+t.GetName())
		svc := st.Service(ns, t.GetName())
		if svc == nil {
			p.ReportWith(api.Warning, e.ref, fmt.Sprintf("%s targets Service %s/%s, which was not read", e.ref, ns, t.GetName()),
				"it acts nowhere", "correct the target, or add the Service", at)
			continue
		}
		if len(membersOf(st, st.WorkloadsOf(svc))) == 0 {
			continue
		}
		p.Need(svc.Ref(), e.cap, fmt.Sprintf("%s targets the service, which only a waypoint obeys", e.ref), at)
		p.ReportWith(api.Warning, e.ref, fmt.Sprintf("%s begins to act when %s gets its waypoint", e.ref, svc.Ref()),
			"sidecars ignore an extension with targetRefs, so requests that nothing looks at today may be changed or refused then",
			"check that this is what its owner wants, or remove it before the waypoint is activated", at)
	}
}

// selectorPath is the field that says whom a policy applies to. Without a
// selector it is the name: citing the whole spec would account for all of it.
func selectorPath(selector map[string]string) string {
	if len(selector) > 0 {
		return "spec.selector"
	}
	return "metadata.name"
}
