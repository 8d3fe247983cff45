package meshgen

// routes adds VirtualServices, of sidecars and of the ingress gateway, and DestinationRules.
func (g *generator) routes() {
	var http []*app
	for _, a := range g.inMesh {
		if a.protocol == "HTTP" || a.protocol == "GRPC" {
			http = append(http, a)
		}
	}
	if len(http) == 0 {
		return
	}
	for i := range g.p.Routes {
		a := pick(g, http)
		switch n := g.r.IntN(100); {
		case len(a.versions) > 0:
			g.split(a, i)
		case n < 45:
			g.virtualService(a, numbered("timeout", i), nil, object{
				"timeout": "10s",
				"retries": object{"attempts": int64(3), "perTryTimeout": "2s", "retryOn": "5xx,reset"},
				"route":   list{a.destination("", 0)},
			})
		case n < 65:
			g.virtualService(a, numbered("public", i), list{"istio-ingress/public"}, object{
				"match": list{object{"uri": object{"prefix": "/" + a.name}}},
				"route": list{a.destination("", 0)},
			})
		case n < 75:
			g.virtualService(a, numbered("fault", i), nil, object{
				"match": list{object{"headers": object{"x-chaos": object{"exact": "on"}}}},
				"fault": object{"delay": object{"fixedDelay": "2s", "percentage": object{"value": int64(10)}}},
				"route": list{a.destination("", 0)},
			})
		default:
			g.virtualService(a, numbered("headers", i), nil, object{
				"headers": object{"request": object{"set": object{"x-team": a.space.name}}},
				"route":   list{a.destination("", 0)},
			})
		}
		if len(a.versions) == 0 && g.chance(33) {
			g.object("networking.istio.io/v1", "DestinationRule", a.space.name, numbered("pool", i), a.space.owner, object{
				"host": a.host(),
				"trafficPolicy": object{
					"connectionPool":   object{"tcp": object{"maxConnections": int64(100)}},
					"outlierDetection": object{"consecutive5xxErrors": int64(5), "interval": "30s"},
				},
			})
		}
	}
}

// split sends a tenth of the requests to the newer version.
func (g *generator) split(a *app, i int) {
	var subsets list
	for _, v := range a.versions {
		subsets = append(subsets, object{"name": v, "labels": object{"version": v}})
	}
	g.object("networking.istio.io/v1", "DestinationRule", a.space.name, numbered("versions", i), a.space.owner, object{"host": a.host(), "subsets": subsets})
	g.virtualService(a, numbered("split", i), nil, object{"route": list{a.destination(a.versions[0], 90), a.destination(a.versions[1], 10)}})
}

// destination is one destination of a route; weight 0 stands for all.
func (a *app) destination(subset string, weight int64) object {
	to := object{"host": a.host(), "port": object{"number": int64(a.port)}}
	if subset != "" {
		to["subset"] = subset
	}
	if weight == 0 {
		return object{"destination": to}
	}
	return object{"destination": to, "weight": weight}
}

// virtualService adds one with a single route. Bound to gateways, it has a host of the outside.
func (g *generator) virtualService(a *app, name string, gateways list, route object) {
	spec := object{"hosts": list{a.host()}, "http": list{route}}
	if gateways != nil {
		spec["hosts"], spec["gateways"] = list{a.space.name + ".example.com"}, gateways
	}
	g.object("networking.istio.io/v1", "VirtualService", a.space.name, name, a.space.owner, spec)
}
