package arch

// module is the import path of this repository.
const module = "github.com/ambientplan/ambientplan"

// row says what one package, and every package below it that has no row of its own, may import.
type row struct {
	// may lists packages of ours, as paths below the module; "p/..." means p and everything below it.
	may []string
	// mayNot lists import paths outside of the module that are forbidden, in the same notation.
	mayNot []string
	// why is printed with each violation.
	why string
}

// The outside world, as direct imports. apimachinery brings most of it along, so only direct imports can be
// forbidden.
var outsideWorld = []string{"os", "os/...", "io/ioutil", "net", "net/http", "net/http/...", "syscall"}

// clusterClients talk to an API server.
var clusterClients = []string{
	"k8s.io/client-go/...",
	"istio.io/client-go/pkg/clientset/...", "istio.io/client-go/pkg/informers/...", "istio.io/client-go/pkg/listers/...",
}

// matrix is who may import whom, by package path below the module. A package with no row, not even of a
// parent, fails the test: write down what it is for before it grows.
var matrix = map[string]row{
	"api": {
		mayNot: concat(outsideWorld, clusterClients, []string{"istio.io/client-go/...", "sigs.k8s.io/kustomize/..."}),
		why:    "api is the documents people read and write: types and a strict codec, no logic, nothing that reaches out",
	},
	"mesh": {
		may:    []string{"api/..."},
		mayNot: concat(outsideWorld, clusterClients, []string{"time"}),
		why:    "mesh is what Istio does: pure functions of a state, without a clock, files or waves",
	},
	"cluster": {
		may: []string{"api/..."},
		why: "cluster lists what a running cluster holds: what it means is for inventory and status",
	},
	"inventory": {
		may: []string{"api/...", "cluster"},
		why: "inventory reads sources and has no opinions about migration: it knows neither planner nor render",
	},
	"planner/rules": {
		may:    []string{"api/...", "mesh/..."},
		mayNot: concat(outsideWorld, clusterClients, []string{"time"}),
		why:    "a rule is a pure function of the mesh: it emits needs and findings, and sees neither the planner nor the outside world",
	},
	"planner/translate": {
		may:    []string{"api/...", "mesh/..."},
		mayNot: concat(outsideWorld, clusterClients, []string{"time"}),
		why:    "translate turns one object into its ambient twin: a pure function of the mesh",
	},
	"planner/convert": {
		may:    []string{"api/...", "mesh/...", "planner/translate"},
		mayNot: concat(outsideWorld, clusterClients),
		why:    "convert turns VirtualServices into routes: a pure function of the mesh and of what the cluster's definitions allow",
	},
	"planner": {
		may:    []string{"api/...", "mesh/...", "planner/..."},
		mayNot: concat(outsideWorld, clusterClients),
		why:    "planner plans from a document: importing inventory would drag a cluster client into a pure function, importing render would let output decide",
	},
	"planner/fleet": {
		may:    []string{"api/...", "mesh/...", "planner"},
		mayNot: concat(outsideWorld, clusterClients),
		why:    "fleet plans several clusters with the planner: what it does not decide of one cluster is the planner's",
	},
	"assess": {
		may:    []string{"api/...", "mesh/...", "planner"},
		mayNot: concat(outsideWorld, clusterClients),
		why:    "assess answers from documents and from the plans of the planner: whoever reads them hands them over",
	},
	"status": {
		may:    []string{"api/...", "planner/rewind"},
		mayNot: concat(outsideWorld, clusterClients),
		why:    "status judges what was read: whoever reads it hands it over",
	},
	"telemetry": {
		may:    []string{"api/...", "mesh/...", "telemetry/..."},
		mayNot: []string{"net", "net/http", "net/http/..."},
		why:    "telemetry takes a MigrationPlan as a document: it neither plans nor serves",
	},
	"telemetry/series": {
		may:    []string{"api/...", "mesh/..."},
		mayNot: concat(outsideWorld, clusterClients, []string{"time", "github.com/prometheus/..."}),
		why:    "series is the metrics model: data and a pure function of a state, with no opinion about queries",
	},
	"telemetry/span": {
		mayNot: concat(outsideWorld, clusterClients),
		why:    "span finds strings in files: what they mean is for others",
	},
	"telemetry/template": {
		may:    []string{"telemetry/span"},
		mayNot: concat(outsideWorld, clusterClients),
		why:    "template puts placeholders for variables: text in, text out",
	},
	"telemetry/source": {
		may:    []string{"api/...", "telemetry/span", "telemetry/template"},
		mayNot: concat(clusterClients, []string{"net", "net/http", "net/http/..."}),
		why:    "source reads files and says what stands where: what a migration does to it is judged elsewhere",
	},
	"telemetry/promql": {
		may:    []string{"api/...", "mesh/...", "telemetry/series"},
		mayNot: concat(outsideWorld, clusterClients),
		why:    "promql judges expressions against the model: readers of files hand it strings",
	},
	"render": {
		may:    []string{"api/...", "templates"},
		mayNot: concat(clusterClients, []string{"net", "net/http", "net/http/..."}),
		why:    "render prints what the plan says: with mesh or planner at hand it could decide",
	},
	"templates": {
		mayNot: concat(outsideWorld, clusterClients),
		why:    "templates is prose: embedded text without logic",
	},
	"schemas": {
		mayNot: concat(outsideWorld, clusterClients),
		why:    "schemas is embedded text that is generated from api",
	},
	"cmd": {
		may: []string{"api/...", "schemas", "assess", "mesh/...", "cluster", "inventory/...", "planner/...", "status", "telemetry/...", "render/...", "templates"},
		why: "a command is flags, printing and exit codes over the library; internal/ is for tests and generators",
	},
	"internal/meshgen": {
		may:    []string{"api/..."},
		mayNot: concat(outsideWorld, clusterClients, []string{"time", "math/rand"}),
		why:    "meshgen makes a mesh from a seed: whatever else it could read would make two runs differ",
	},
	"internal": {
		may: []string{"..."},
		why: "internal is test support and generators",
	},
}

// bannedCalls are functions that only the packages of callersOfTheWorld may name, with the reason.
var bannedCalls = map[string]string{
	"os.Exit":     "exit codes are an error type, turned into a status by cmd alone",
	"log.Fatal":   "exit codes are an error type, turned into a status by cmd alone",
	"log.Fatalf":  "exit codes are an error type, turned into a status by cmd alone",
	"log.Fatalln": "exit codes are an error type, turned into a status by cmd alone",
	"time.Now":    "same input, same bytes: the clock is a parameter",
}

// callersOfTheWorld may use bannedCalls.
var callersOfTheWorld = []string{"cmd/...", "internal/..."}

// bannedNames are package and file names that say nothing about what they hold.
var bannedNames = map[string]bool{
	"util": true, "utils": true, "common": true, "helper": true, "helpers": true, "misc": true,
}

// maxLines is how long a hand-written file that is not a test may be.
const maxLines = 700

func concat(lists ...[]string) []string {
	var all []string
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}
