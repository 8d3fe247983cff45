package inventory

import "strings"

// resolveProtocol is what Istio makes of a port of a Service, in the words of
// api.ServicePort; "" when nothing declares it, so that a sidecar sniffs. It is
// ConvertProtocol of istio.io/istio (pkg/config/kube/conversion.go): UDP first;
// appProtocol, when the field is there, instead of the port's name; "grpc-web" as
// a prefix; else the word up to the first dash. appProtocol is nil when absent.
func resolveProtocol(port int32, name, transport string, appProtocol *string) string {
	if transport == "UDP" {
		return "UDP"
	}
	if appProtocol != nil {
		name = *appProtocol
		switch name {
		case "kubernetes.io/h2c":
			return "HTTP2"
		case "kubernetes.io/ws":
			return "HTTP"
		case "kubernetes.io/wss":
			return "HTTPS"
		}
	}
	if len(name) >= len("grpc-web") && strings.EqualFold(name[:len("grpc-web")], "grpc-web") {
		return "GRPC-Web"
	}
	prefix, _, _ := strings.Cut(name, "-")
	if p := parseProtocol(prefix); p != "" {
		return p
	}
	switch port {
	case 25, 53, 3306, 27017:
		// SMTP, DNS, MySQL and MongoDB break when sniffed, so Istio takes them for TCP.
		return "TCP"
	}
	return ""
}

// parseProtocol is Parse of istio.io/istio (pkg/config/protocol): a word, in any
// case, to a protocol; "" for other words.
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
	case "http_proxy":
		return "HTTP_PROXY"
	}
	return ""
}
