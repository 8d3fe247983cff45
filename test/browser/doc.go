// Package browser holds the tests of the HTML report in a real browser: a headless Chromium, which is looked for under
// the name in the environment variable CHROMIUM and then on the PATH. Where there is none, the tests skip.
package browser
