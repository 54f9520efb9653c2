"""Makes Data Docs pages open without the internet: nothing of them is fetched from outside.

Great Expectations' pages take styles, fonts and scripts from seven foreign hosts; behind a firewall they stay empty,
since their tables are drawn by those scripts. Here these references are taken out, and a style sheet and a script of a
page each, beside the pages, do what the pages need: tables of the index, tabs, folds.
"""

from __future__ import annotations

import re
from pathlib import Path

#: Elements that a browser fetches from outside as it opens a page. A link that a reader may follow is none.
_FETCHED = re.compile(
    r"<script\b[^>]*\bsrc\s*=\s*[\"'](?:https?:)?//[^>]*>\s*</script>|<link\b[^>]*\bhref\s*=\s*[\"'](?:https?:)?//[^>]*>",
    re.I | re.S,
)
_LOGO = re.compile(
    r"(<img\b[^>]*\bsrc\s*=\s*)[\"'](?:https?:)?//[^\"']*?([\w.-]+\.(?:png|svg|gif))[^\"']*[\"']", re.I | re.S
)
_URL = re.compile(r"url\(\s*[\"']?(?:https?:)?//[^)]*\)|@import\s+[\"'](?:https?:)?//[^;]*;", re.I)
_STYLE, _SCRIPT = "offline.css", "offline.js"

CSS = """/* What Data Docs pages need of the frameworks that they fetch from outside. */
body { font: 15px/1.5 system-ui, sans-serif; margin: 0; color: #222; background: #fff; }
a { color: #0b57a4; }
.container-fluid, .container { padding: 12px 24px 48px; }
.row { display: flex; flex-wrap: wrap; gap: 16px; }
.row > [class*="col-"] { flex: 1 1 260px; min-width: 0; }
.row > .col-12, .row > .col-lg-10, .row > .col-md-8 { flex: 4 1 480px; }
.navbar { border-bottom: 1px solid #ddd; padding: 8px 24px; height: auto !important; }
table { border-collapse: collapse; max-width: 100%; }
th, td { border: 1px solid #ddd; padding: 4px 8px; text-align: left; vertical-align: top; }
th { background: #f4f4f4; }
.table-responsive { overflow-x: auto; }
.nav { display: flex; flex-wrap: wrap; gap: 4px; padding: 0; list-style: none; }
.flex-column { flex-direction: column; }
.nav-link { display: block; padding: 4px 10px; text-decoration: none; }
.nav-link.active { font-weight: 600; border-bottom: 2px solid #0b57a4; }
.tab-pane { display: none; }
.tab-pane.active { display: block; }
.collapse { display: none; }
.collapse.show { display: block; }
.modal, .invisible, .d-none { display: none; }
.badge { border-radius: 4px; padding: 1px 6px; background: #eee; }
.alert { border: 1px solid #ddd; border-radius: 4px; padding: 8px 12px; margin: 8px 0; }
.text-success, .ge-success-icon { color: #1a7f37; }
.text-danger, .ge-failed-icon { color: #b42318; }
.fa-check-circle::before, .fa-check::before { content: "\\2713"; }
.fa-times::before, .fa-exclamation-triangle::before { content: "\\2717"; }
i.fas { font-style: normal; font-weight: 700; }
.clickable-row { cursor: pointer; }
@media (max-width: 600px) { .container-fluid { padding: 8px 8px 48px; } }
"""

JS = """// What Data Docs pages need of the scripts that they fetch from outside.
(function () {
  "use strict";
  function each(target, act) {
    var found = typeof target === "string" ? document.querySelectorAll(target) : target ? [target] : [];
    Array.prototype.forEach.call(found, act);
  }
  function drawTable(table, options) {
    var columns = options.columns || [], rows = (options.data || []).slice();
    var by = options.sortName, sign = options.sortOrder === "desc" ? -1 : 1;
    var column = columns.filter(function (c) { return c.field === by; })[0] || {};
    var key = column.sortName || by;
    if (key) rows.sort(function (a, b) { return a[key] < b[key] ? -sign : a[key] > b[key] ? sign : 0; });
    var head = document.createElement("thead"), line = head.insertRow();
    columns.forEach(function (c) {
      var cell = document.createElement("th");
      cell.innerHTML = c.title || "";
      line.appendChild(cell);
    });
    var body = document.createElement("tbody");
    rows.forEach(function (row) {
      var tr = body.insertRow(), link = row._table_row_link_path;
      columns.forEach(function (c) {
        var value = row[c.field], cell = tr.insertCell();
        cell.innerHTML = value === undefined || value === null ? "" : value;
      });
      if (link) {
        tr.className = "clickable-row";
        var last = columns.length ? tr.cells[tr.cells.length - 1] : tr.insertCell();
        var anchor = document.createElement("a");
        anchor.href = link;
        anchor.textContent = " \\u2192";
        last.appendChild(anchor);
        tr.addEventListener("click", function () { window.location = link; });
      }
    });
    table.replaceChildren(head, body);
  }
  function wrap(target) {
    var self = {
      bootstrapTable: function (options) { each(target, function (e) { drawTable(e, options); }); return self; },
      ready: function (act) { onReady(act); return self; },
      on: function (event, act) {
        if (typeof act === "function" && event.indexOf(".") < 0)
          each(target, function (e) { e.addEventListener(event, act); });
        return self;
      },
      addClass: function (name) { each(target, function (e) { e.classList.add(name); }); return self; },
      removeClass: function (name) { each(target, function (e) { e.classList.remove(name); }); return self; }
    };
    return new Proxy(self, { get: function (own, name) {
      return name in own ? own[name] : function () { return self; };
    } });
  }
  function onReady(act) {
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", act); else act();
  }
  window.$ = window.jQuery = function (target) {
    if (typeof target === "function") { onReady(target); return wrap(document); }
    return wrap(target);
  };
  window.$.fn = {};
  window.vegaEmbed = function () { return Promise.resolve({}); };
  onReady(function () {
    each('[data-toggle="tab"], [data-toggle="pill"]', function (tab) {
      tab.addEventListener("click", function (event) {
        event.preventDefault();
        var pane = document.querySelector(tab.getAttribute("href") || tab.dataset.target);
        if (!pane) return;
        each(".tab-pane.active", function (e) { e.classList.remove("active", "show"); });
        each('[data-toggle="tab"].active, [data-toggle="pill"].active', function (e) { e.classList.remove("active"); });
        pane.classList.add("active", "show");
        tab.classList.add("active");
      });
    });
    each('[data-toggle="collapse"]', function (fold) {
      fold.addEventListener("click", function (event) {
        event.preventDefault();
        each(fold.dataset.target || fold.getAttribute("href"), function (e) { e.classList.toggle("show"); });
      });
    });
  });
})();
"""


def keep_inside(home: Path) -> int:
    """Rewrite the pages below ``home`` so that they fetch nothing from outside; returns how many were pages.

    Args:
        home: the folder of a Data Docs site, with ``index.html`` in it.
    """
    static = home / "static"
    static.mkdir(exist_ok=True)
    (static / _STYLE).write_text(CSS, encoding="utf-8")
    (static / _SCRIPT).write_text(JS, encoding="utf-8")
    for sheet in home.rglob("*.css"):
        sheet.write_text(_URL.sub("none", sheet.read_text(encoding="utf-8")), encoding="utf-8")
    pages = sorted(home.rglob("*.html"))
    for page in pages:
        page.write_text(
            rewrite(page.read_text(encoding="utf-8"), "../" * (len(page.relative_to(home).parts) - 1)), "utf-8"
        )
    return len(pages)


def rewrite(text: str, up: str) -> str:
    """A page that fetches nothing from outside; ``up`` leads from it to the site's folder."""
    own = f'<link rel="stylesheet" href="{up}static/{_STYLE}">\n<script src="{up}static/{_SCRIPT}"></script>\n'
    if own in text:
        return text
    inside = _URL.sub("none", _FETCHED.sub("", text))
    inside = _LOGO.sub(lambda match: f'{match[1]}"{up}static/images/{match[2]}"', inside)
    return re.sub(r"(<head[^>]*>)", lambda match: f"{match[1]}\n{own}", inside, count=1, flags=re.I)
