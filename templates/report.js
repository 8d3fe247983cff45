(function () {
  "use strict";
  var form = document.getElementById("filters");
  var cards = Array.prototype.slice.call(document.querySelectorAll("#list > details"));
  var q = document.getElementById("q"), kind = document.getElementById("kind"), wave = document.getElementById("wave"), space = document.getElementById("space");
  var shown = document.getElementById("shown"), texts = null, timer = 0;
  function apply() {
    var words = q.value.toLowerCase().split(/\s+/).filter(Boolean), n = 0;
    if (words.length && !texts) {
      texts = cards.map(function (c) { return c.textContent.toLowerCase(); });
    }
    cards.forEach(function (c, i) {
      var d = c.dataset;
      var ok = (!kind.value || d.k === kind.value) && (!space.value || d.n === space.value) &&
        (!wave.value || (wave.value === "-" ? d.w === "" : d.w === wave.value)) &&
        words.every(function (w) { return texts[i].indexOf(w) >= 0; });
      c.hidden = !ok;
      if (ok) { n++; }
    });
    shown.textContent = n + " of " + cards.length + " shown";
  }
  function soon() { clearTimeout(timer); timer = setTimeout(apply, 120); }
  if (cards.length) {
    form.hidden = false;
    form.addEventListener("submit", function (e) { e.preventDefault(); apply(); });
    form.addEventListener("reset", function () { setTimeout(apply, 0); });
    q.addEventListener("input", soon);
    [kind, wave, space].forEach(function (s) { s.addEventListener("change", apply); });
    apply();
  }
  function open() {
    var at = location.hash && document.getElementById(location.hash.slice(1));
    for (var e = at; e; e = e.parentElement) {
      if (e.tagName === "DETAILS") { e.open = true; }
    }
    if (at) { at.scrollIntoView(); }
  }
  window.addEventListener("hashchange", open);
  open();
})();
