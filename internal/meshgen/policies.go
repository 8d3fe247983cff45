package meshgen

// policies adds what guards services, and by namespace what guards all of it.
func (g *generator) policies() {
	for i, s := range g.spaces {
		if !s.inMesh {
			continue
		}
		if i%4 == 1 {
			g.object("security.istio.io/v1", "PeerAuthentication", s.name, "default", s.owner, object{"mtls": object{"mode": "STRICT"}})
		}
		if i%12 == 2 {
			g.object("security.istio.io/v1", "AuthorizationPolicy", s.name, "allow-nothing", s.owner, object{})
		}
	}
	if len(g.inMesh) == 0 {
		return
	}
	for i := range g.p.Policies {
		a := pick(g, g.inMesh)
		switch n := g.r.IntN(100); {
		case n < 35:
			g.authorize(a, numbered("allow-callers", i), "ALLOW", object{"from": list{a.sources()}, "to": list{object{"operation": object{"ports": list{portText(a.port)}}}}})
		case n < 65:
			g.authorize(a, numbered("allow-reads", i), "ALLOW", object{"from": list{a.sources()}, "to": list{object{"operation": object{"methods": list{"GET", "HEAD"}, "paths": list{"/api/*", "/healthz"}}}}})
		case n < 75:
			g.authorize(a, numbered("deny-admin", i), "DENY", object{"from": list{object{"source": object{"notNamespaces": list{a.space.name}}}}, "to": list{object{"operation": object{"paths": list{"/admin*"}}}}})
		case n < 85:
			g.authorize(a, numbered("deny-from", i), "DENY", object{"from": list{object{"source": object{"namespaces": list{pick(g, g.spaces).name}}}}})
		default:
			g.networkPolicy(a, numbered("ingress", i))
		}
	}
}

// sources admits the callers of an app; one that nobody calls admits its namespace.
func (a *app) sources() object {
	if len(a.callers) == 0 {
		return object{"source": object{"namespaces": list{a.space.name}}}
	}
	var principals list
	for _, c := range a.callers {
		principals = append(principals, c.principal())
	}
	return object{"source": object{"principals": principals}}
}

func (g *generator) authorize(a *app, name, action string, rule object) {
	g.object("security.istio.io/v1", "AuthorizationPolicy", a.space.name, name, a.space.owner, object{
		"action": action, "selector": object{"matchLabels": a.labels()}, "rules": list{rule},
	})
}

// networkPolicy opens the port of an app to namespaces in the mesh.
func (g *generator) networkPolicy(a *app, name string) {
	g.object("networking.k8s.io/v1", "NetworkPolicy", a.space.name, name, a.space.owner, object{
		"podSelector": object{"matchLabels": a.labels()},
		"policyTypes": list{"Ingress"},
		"ingress": list{object{
			"from":  list{object{"namespaceSelector": object{"matchLabels": object{"istio-injection": "enabled"}}}},
			"ports": list{object{"port": int64(a.port), "protocol": "TCP"}},
		}},
	})
}
