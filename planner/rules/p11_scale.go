package rules

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var p11 = Rule{
	ID: "P11", Title: "More pods and services than one message to ztunnel holds",
	Doc: Doc{
		Why: "istiod tells every ztunnel of all workloads and services of the cluster. Above about 40 000 of them on Istio 1.31 (55 000 on earlier versions) the first message is " +
			"larger than the default limit of gRPC.",
		Effect:  "ztunnel starts, receives nothing and connects again, for ever, with ResourceExhausted in its log; pods on its node are captured and cut off",
		Remedy:  "set ISTIO_GPRC_MAXRECVMSGSIZE (spelled so) on istiod to about 1 MiB for each 10 000 workloads and services, before wave 0",
		Sources: []string{"istio.io: Istio 1.31 upgrade notes"},
		Facts:   []string{"P-11"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindService, mesh.KindWorkload},
	Check: checkP11,
}

// manyResources is the number of workloads and services above which the
// default message size does not suffice on Istio 1.31.
const manyResources = 40000

func checkP11(p *Pass) {
	st := p.Mesh()
	total, largest := len(st.Services()), api.Evidence{}
	most := -1
	ws := st.Workloads()
	for i := range ws {
		n := ws[i].Pods.Total - ws[i].Pods.Done
		if !ws[i].Pods.Observed {
			n = 1
			if r := ws[i].Replicas; r != nil {
				n = int(*r)
			}
		}
		total += n
		if n > most {
			most, largest = n, api.Evidence{Object: ws[i].Ref()}
		}
	}
	if total > manyResources && most >= 0 {
		p.Report(api.Warning, api.Ref{Kind: "Cluster", Name: "cluster"}, fmt.Sprintf("the cluster has about %d pods and services", total), largest)
	}
}
