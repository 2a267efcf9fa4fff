"""How a report looks: one column, light or dark as the reader's system is, from a telephone up."""

STYLE = """
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5a6675;--paper:#fff;--panel:#f5f7fa;--rule:#d8dee6;
--c0:#1f6fd6;--c1:#d1471f;--c2:#1b8a5a;--c3:#8a4fd0;--c4:#a86b00;--c5:#0f8b9a;--good:#15733f;--bad:#b3261e;--warn:#8a5a00}
@media(prefers-color-scheme:dark){:root{--ink:#e6ebf2;--soft:#a3afbd;--paper:#12161c;--panel:#1b212a;--rule:#333d4a;
--c0:#6aa9ff;--c1:#ff8a66;--c2:#5fd39b;--c3:#c29bff;--c4:#e8b04a;--c5:#5fd0de;--good:#5fd39b;--bad:#ff8a80;--warn:#e8b04a}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:800px;padding:20px 16px 60px;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,sans-serif;overflow-wrap:break-word}
h1{font-size:24px;margin:0 0 4px}h2{font-size:18px;margin:32px 0 8px}p{margin:6px 0}
.about,.note,.legend,figcaption{color:var(--soft)}
.verdict{display:inline-block;margin:10px 0;padding:4px 12px;border-radius:6px;font-weight:600;border:2px solid}
.passed{color:var(--good)}.failed,.invalid{color:var(--bad)}.interrupted{color:var(--warn)}
.wrap{overflow-x:auto;max-width:100%}
table{border-collapse:collapse;font-size:14px;font-variant-numeric:tabular-nums;min-width:100%}
th,td{padding:4px 10px 4px 0;text-align:right;border-bottom:1px solid var(--rule);white-space:nowrap}
th:first-child,td:first-child{text-align:left;position:sticky;left:0;background:var(--paper)}
th{color:var(--soft);font-weight:600}
th.text,td.text{text-align:left}td.text{white-space:normal;min-width:160px}
.reads td:first-child,.reads th{white-space:normal}
figure{margin:8px 0 4px;background:var(--panel);border-radius:8px;padding:10px}
svg{display:block;max-width:100%;height:auto}
.narrow{display:none}
@media(max-width:767px){.wide{display:none}.narrow{display:block}td.text{min-width:120px}}
svg text{fill:var(--ink);font:12px system-ui,sans-serif}svg .tick,svg .name{fill:var(--soft)}
.grid{stroke:var(--rule)}.axis{stroke:var(--soft)}.line{fill:none;stroke-width:1.8;stroke-linejoin:round}
.mark{stroke:var(--warn);stroke-dasharray:4 3}svg .word{fill:var(--warn);font-weight:600;paint-order:stroke;
stroke:var(--panel);stroke-width:4px}.shade{fill:var(--rule);opacity:.5}
.bar{fill:var(--c0)}
.c0{stroke:var(--c0)}.c1{stroke:var(--c1)}.c2{stroke:var(--c2)}.c3{stroke:var(--c3)}.c4{stroke:var(--c4)}.c5{stroke:var(--c5)}
.legend{display:flex;flex-wrap:wrap;gap:2px 16px;margin:0 0 4px;padding:0;list-style:none;font-size:13px}
.legend svg{display:inline-block;vertical-align:middle;margin-right:5px}
details{margin:4px 0 12px;font-size:14px}summary{cursor:pointer;color:var(--soft)}
.met{color:var(--good);font-weight:600}.missed{color:var(--bad);font-weight:600}
pre{background:var(--panel);padding:10px;border-radius:8px;overflow-x:auto;font-size:12px}
"""
