package browser

import (
	"strings"
	"testing"
	"time"
)

// A page that does everything that a report must not do: if the record stayed empty here, an empty record would prove
// nothing elsewhere.
func TestRecordSees(t *testing.T) {
	p := openFile(t, newBrowser(t), "testdata/noisy.html")
	p.wait(`document.title === "done"`, 10*time.Second)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, tt := range []struct {
		what string
		list []string
		want string
	}{
		{"console", p.complaints, "logged by the page"},
		{"uncaught error", p.complaints, "thrown by the page"},
		{"policy", p.complaints, "Content Security Policy"},
		{"image", p.requests, "image.invalid"},
		{"fetch", p.requests, "fetch.invalid"},
		{"beacon", p.requests, "beacon.invalid"},
		{"style", p.requests, "style.invalid"},
		{"file beside it", p.requests, "beside.js"},
		{"WebSocket", p.requests, "socket.invalid"},
		{"alert", p.dialogs, "alerted by the page"},
	} {
		if !strings.Contains(strings.Join(tt.list, "\n"), tt.want) {
			t.Errorf("%s: the record has no %q: %q", tt.what, tt.want, tt.list)
		}
	}
}
