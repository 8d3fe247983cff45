<<<<<<< HEAD
// Package browser holds the tests of the HTML report in a real browser: a headless Chromium, which is looked for under
// the name in the environment variable CHROMIUM and then on the PATH. Where there is none, the tests skip.
=======
// Package browser opens the HTML that ambientplan writes in a real Chromium. What a parser of HTML cannot tell is tested
// here: that the page loads nothing and complains about nothing, that nothing is cut off on a phone or in print, that search
// and filters work by keyboard, and what axe-core finds in light and in dark.
//
// The tests skip themselves where there is no Chromium. CHROMIUM names one that is not on the PATH.
>>>>>>> e292215 (Open the report in a real browser: nothing loaded, nothing cut off, nothing that axe-core objects to)
package browser
