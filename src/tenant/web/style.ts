/** The one style sheet of all pages: two colour schemes, contrast of WCAG 2.2 AA or better in both, from 320 px on. */

export const STYLE = `
:root {
  color-scheme: light dark;
  --ground: #eef1f0;
  --ground-far: #dfe8e6;
  --card: #ffffff;
  --line: #d3dbd9;
  --field: #ffffff;
  --field-line: #6f7f7c;
  --text: #17211f;
  --soft: #4d5b58;
  --accent: #0b6158;
  --accent-strong: #084a43;
  --on-accent: #ffffff;
  --accent-wash: #e3f0ee;
  --bad: #a3231b;
  --bad-wash: #fcebe9;
  --warn: #6b4a00;
  --warn-wash: #fbf1d9;
  --shadow: 0 1px 2px rgb(23 33 31 / 6%), 0 12px 32px rgb(23 33 31 / 8%);
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #101716;
    --ground-far: #0b100f;
    --card: #1a2322;
    --line: #2d3a38;
    --field: #111918;
    --field-line: #82938f;
    --text: #e9efed;
    --soft: #a9b8b4;
    --accent: #6fd3c4;
    --accent-strong: #95e3d7;
    --on-accent: #06231f;
    --accent-wash: #17322e;
    --bad: #ffaaa1;
    --bad-wash: #3a1f1c;
    --warn: #f3cf7d;
    --warn-wash: #33290f;
    --shadow: 0 1px 2px rgb(0 0 0 / 30%), 0 12px 32px rgb(0 0 0 / 35%);
  }
}
*, *::before, *::after { box-sizing: border-box; }
html { font-size: 100%; -webkit-text-size-adjust: 100%; }
body {
  margin: 0;
  min-height: 100vh;
  min-height: 100dvh;
  display: flex;
  flex-direction: column;
  align-items: center;
  justify-content: center;
  padding: 1.5rem 1rem;
  background: radial-gradient(120rem 60rem at 50% -20rem, var(--ground), var(--ground-far)) fixed;
  color: var(--text);
  font: 1rem/1.5 ui-sans-serif, system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', 'DejaVu Sans', sans-serif;
  overflow-wrap: anywhere;
}
main {
  width: 100%;
  max-width: 27rem;
  background: var(--card);
  border: 1px solid var(--line);
  border-radius: 1rem;
  box-shadow: var(--shadow);
  padding: 2rem;
}
.brand { display: flex; align-items: center; gap: .75rem; margin: 0 0 1.75rem; color: var(--soft); font-size: .9375rem; }
.brand .mark {
  flex: none;
  width: 2.25rem;
  height: 2.25rem;
  border-radius: .6rem;
  display: grid;
  place-items: center;
  background: var(--accent);
  color: var(--on-accent);
  font-weight: 650;
  font-size: 1.0625rem;
}
h1 { margin: 0 0 .375rem; font-size: 1.5rem; line-height: 1.25; font-weight: 650; letter-spacing: -.01em; }
p { margin: 0 0 1rem; }
.lead { color: var(--soft); margin-bottom: 1.5rem; }
.lead:last-child, p:last-child { margin-bottom: 0; }
.field { margin: 0 0 1.25rem; }
label { display: block; font-weight: 550; margin: 0 0 .375rem; }
.hint { color: var(--soft); font-size: .875rem; margin: .375rem 0 0; }
input[type=text], input[type=email], input[type=password] {
  width: 100%;
  min-height: 2.75rem;
  padding: .5rem .75rem;
  border: 1px solid var(--field-line);
  border-radius: .5rem;
  background: var(--field);
  color: var(--text);
  font: inherit;
}
input[aria-invalid=true] { border-color: var(--bad); box-shadow: inset 0 0 0 1px var(--bad); }
input.code { font-family: ui-monospace, 'DejaVu Sans Mono', monospace; letter-spacing: .12em; text-transform: uppercase; }
.account {
  display: flex;
  align-items: baseline;
  justify-content: space-between;
  flex-wrap: wrap;
  gap: .25rem 1rem;
  margin: 0 0 1.25rem;
  padding: .625rem .875rem;
  border-radius: .5rem;
  background: var(--accent-wash);
}
.account bdi { font-weight: 550; min-width: 0; }
.account a { font-size: .875rem; white-space: nowrap; }
.check { display: flex; gap: .625rem; align-items: flex-start; margin: 0 0 1.5rem; }
.check input { flex: none; width: 1.25rem; height: 1.25rem; margin: .125rem 0 0; accent-color: var(--accent); }
.check label { margin: 0; font-weight: 400; }
.actions { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.5rem 0 0; }
button, .button {
  display: inline-flex;
  flex: 1 1 auto;
  align-items: center;
  justify-content: center;
  min-height: 2.75rem;
  padding: .5rem 1.25rem;
  border: 1px solid var(--accent);
  border-radius: .5rem;
  background: var(--accent);
  color: var(--on-accent);
  font: inherit;
  font-weight: 600;
  text-align: center;
  text-decoration: none;
  cursor: pointer;
  transition: background-color .12s ease, border-color .12s ease;
}
button:hover, .button:hover { background: var(--accent-strong); border-color: var(--accent-strong); }
button.quiet, .button.quiet { background: transparent; color: var(--accent); border-color: var(--field-line); }
button.quiet:hover, .button.quiet:hover { background: var(--accent-wash); border-color: var(--accent); }
.choice { flex-direction: column; align-items: flex-start; width: 100%; text-align: start; padding: .75rem 1rem; }
.choice + .choice { margin: .75rem 0 0; }
.choice small { font-weight: 400; font-size: .875rem; color: var(--soft); }
a { color: var(--accent); text-underline-offset: .2em; }
a:hover { color: var(--accent-strong); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.notice { margin: 0 0 1.25rem; padding: .75rem .875rem; border-radius: .5rem; border-inline-start: .25rem solid; }
.notice.bad { background: var(--bad-wash); border-color: var(--bad); color: var(--bad); }
.notice.warn { background: var(--warn-wash); border-color: var(--warn); color: var(--warn); }
.notice.good { background: var(--accent-wash); border-color: var(--accent); }
h1 + .notice { margin-top: 1rem; }
form + .notice { margin: 1.5rem 0 0; }
.error { color: var(--bad); font-size: .9375rem; font-weight: 550; margin: .375rem 0 0; }
.device-code {
  display: block;
  margin: 0 0 1.25rem;
  padding: .75rem;
  border: 1px dashed var(--field-line);
  border-radius: .5rem;
  font: 600 1.375rem/1.3 ui-monospace, 'DejaVu Sans Mono', monospace;
  letter-spacing: .12em;
  text-align: center;
}
details { margin: 1.5rem 0 0; color: var(--soft); font-size: .875rem; }
summary { cursor: pointer; padding: .25rem 0; width: fit-content; border-radius: .25rem; }
dl { display: grid; grid-template-columns: auto 1fr; gap: .25rem 1rem; margin: .5rem 0 0; }
dt { font-weight: 550; }
dd { margin: 0; }
footer { width: 100%; max-width: 27rem; padding: 1rem 2rem 0; color: var(--soft); font-size: .8125rem; text-align: center; }
@media (max-width: 26rem) {
  body { padding: .75rem .5rem; justify-content: flex-start; }
  main { padding: 1.25rem 1rem; border-radius: .75rem; }
  footer { padding-inline: 1rem; }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin: 0 0 .375rem; }
}
@media (prefers-reduced-motion: reduce) {
  * { transition: none !important; animation: none !important; }
}
@media (forced-colors: active) {
  .notice, .account, .brand .mark { border: 1px solid CanvasText; }
}
`.trimStart();

/** The tab's icon, drawn for this: a keyhole. */
export const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="#0b6158"/><circle cx="16" cy="13" r="4.5" fill="#fff"/><path d="M14 15h4l1.5 9h-7z" fill="#fff"/></svg>
`;
