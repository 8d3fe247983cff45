package inventory

import "strings"

// resolveProtocol is what Istio makes of a port of a Service, in the words of
// api.ServicePort. It follows ConvertProtocol and protocol.Parse of
// istio.io/istio (pkg/config/kube/conversion.go, pkg/config/protocol): UDP
// first; then appProtocol, if given; a port named "grpc-web" or "grpc-web-...";
// the name up to the first dash; a few well-known ports; else nothing, and a proxy sniffs.
func resolveProtocol(port int32, name, transport, appProtocol string) string {
	if transport == "UDP" {
		return "UDP"
	}
	if appProtocol != "" {
		switch strings.ToLower(appProtocol) {
		case "kubernetes.io/h2c":
			return "HTTP2"
		case "kubernetes.io/ws":
			return "HTTP"
		case "kubernetes.io/wss":
			return "HTTPS"
		}
		return parseProtocol(appProtocol)
	}
	if len(name) >= len("grpc-web") && strings.EqualFold(name[:len("grpc-web")], "grpc-web") {
		return "GRPC-Web"
	}
	prefix, _, _ := strings.Cut(name, "-")
	if p := parseProtocol(prefix); p != "" {
		return p
	}
	switch port {
	case 53, 3306, 27017:
		// Server-first and well-known: Istio never sniffs DNS, MySQL and MongoDB ports.
		return "TCP"
	}
	return ""
}

// parseProtocol maps a word to a protocol, in any case; "" for other words.
func parseProtocol(word string) string {
	switch strings.ToLower(word) {
	case "tcp":
		return "TCP"
	case "udp":
		return "UDP"
	case "grpc":
		return "GRPC"
	case "grpc-web":
		return "GRPC-Web"
	case "http":
		return "HTTP"
	case "http2":
		return "HTTP2"
	case "https":
		return "HTTPS"
	case "tls":
		return "TLS"
	case "mongo":
		return "Mongo"
	case "redis":
		return "Redis"
	case "mysql":
		return "MySQL"
	case "hbone":
		return "HBONE"
	}
	return ""
}
