/** A comparison as a picture: one row a case, the change as a dot in its interval, the band of no change behind. */

import { type Comparison, type Judged, LEAST_CHANGE, type Verdict } from './judge.js';
import { percent } from './table.js';

const ROW = 22;
const LABELS = 330;
const PLOT = 470;
const VALUES = 150;
const WIDTH = LABELS + PLOT + VALUES;
const TOP = 92;

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

/** Besides the colour, a shape of its own for each verdict: a square that fell, a diamond that rose, a ring. */
function mark(verdict: Verdict, x: number, y: number): string {
  switch (verdict) {
    case 'slower':
      return `<rect class="slower" x="${x - 5}" y="${y - 5}" width="10" height="10"/>`;
    case 'faster':
      return `<path class="faster" d="M${x} ${y - 6.5}l6.5 6.5-6.5 6.5-6.5-6.5z"/>`;
    case 'same':
      return `<circle class="same" cx="${x}" cy="${y}" r="4"/>`;
    default:
      return `<circle class="undecided" cx="${x}" cy="${y}" r="4"/>`;
  }
}

interface Colours {
  readonly paper: string;
  readonly ink: string;
  readonly soft: string;
  readonly line: string;
  readonly band: string;
  readonly slower: string;
  readonly faster: string;
}

// No custom properties: converters to other formats do not know them.
const colours = ({ paper, ink, soft, line, band, slower, faster }: Colours): string => `
  text { fill: ${ink}; }
  .soft, .same { fill: ${soft}; }
  .paper { fill: ${paper}; }
  .band { fill: ${band}; }
  .grid { stroke: ${line}; }
  .zero, .interval { stroke: ${soft}; }
  .slower { fill: ${slower}; }
  .faster { fill: ${faster}; }
  .undecided { fill: ${paper}; stroke: ${soft}; }
`;

const LIGHT: Colours = {
  paper: '#ffffff',
  ink: '#1f2328',
  soft: '#59636e',
  line: '#d1d9e0',
  band: '#e6eaef',
  slower: '#b3261e',
  faster: '#0b63c5',
};
const DARK: Colours = {
  paper: '#0d1117',
  ink: '#e6edf3',
  soft: '#9198a1',
  line: '#3d444d',
  band: '#222a33',
  slower: '#ff8a80',
  faster: '#79b8ff',
};

const STYLE = `
  text { font: 13px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
  .title { font-size: 17px; font-weight: 600; }
  .suite { font-weight: 600; }
  .interval { stroke-width: 2; }
  .undecided { stroke-width: 1.5; }
${colours(LIGHT)}
  @media (prefers-color-scheme: dark) {${colours(DARK)}}
`;

/** Steps of the axis, as shares, from fine to coarse. */
const STEPS = [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5] as const;

export function svg({ cases, sameMachine }: Comparison): string {
  // Wide enough for estimates and intervals; one that is wider than a factor of 2 would leave nothing of the rest.
  const ends = cases.flatMap(({ low, high }) => [low, high].map((end) => Math.abs(Math.log1p(end))));
  const estimates = cases.map(({ change }) => Math.abs(Math.log1p(change)));
  const furthest = 1.1 * Math.max(0.1, ...estimates, ...ends.filter((end) => end < Math.LN2));
  const x = (share: number): number => {
    const log = Math.max(-furthest, Math.min(furthest, Math.log1p(share)));
    return Math.round((LABELS + PLOT / 2 + (log / furthest) * (PLOT / 2)) * 10) / 10;
  };
  const step = STEPS.find((size) => Math.expm1(furthest) / size <= 5) ?? 10;
  const ticks = [0];
  for (let share = step; Math.log1p(share) < furthest; share += step) ticks.push(share);
  for (let share = -step; share > -1 && Math.log1p(share) > -furthest; share -= step) ticks.push(share);

  const body: string[] = [];
  let y = TOP;
  for (const suite of new Set(cases.map((one) => one.suite))) {
    y += ROW;
    body.push(`<text class="suite" x="16" y="${y + 4}">${escaped(suite)}</text>`);
    for (const one of cases.filter((other) => other.suite === suite)) {
      y += ROW;
      body.push(rowOf(one, y, x));
    }
  }
  const bottom = y + ROW;
  const height = bottom + 84;
  const grid = ticks.map((share) => {
    const at = x(share);
    const label = share === 0 ? '0' : `${share > 0 ? '+' : '−'}${Math.round(Math.abs(share) * 100)} %`;
    return (
      `<line class="${share === 0 ? 'zero' : 'grid'}" x1="${at}" x2="${at}" y1="${TOP}" y2="${bottom}"/>` +
      `<text class="soft" x="${at}" y="${bottom + 18}" text-anchor="middle">${label}</text>`
    );
  });
  const legendY = bottom + 58;
  const legend = [
    [mark('slower', 24, legendY - 4), 40, 'slower beyond noise'],
    [mark('faster', 204, legendY - 4), 220, 'faster beyond noise'],
    [mark('same', 384, legendY - 4), 400, 'no change that can be told'],
    [mark('too few rounds', 604, legendY - 4), 620, 'too few rounds to tell'],
  ] as const;
  const slower = cases.filter(({ verdict }) => verdict === 'slower').length;
  const title =
    slower === 0 ? 'No case is slower' : `${slower} of ${cases.length} cases ${slower === 1 ? 'is' : 'are'} slower`;
  const band = x(LEAST_CHANGE) - x(-LEAST_CHANGE);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${title}">
<style>${STYLE}</style>
<rect class="paper" width="${WIDTH}" height="${height}"/>
<text class="title" x="16" y="32">${title}</text>
<text class="soft" x="16" y="56">Change of the ratio to the contender measured in the same round, with its 95 % interval;</text>
<text class="soft" x="16" y="74">right is faster, the band is ±${LEAST_CHANGE * 100} %${sameMachine ? '' : '; different machines'}</text>
<rect class="band" x="${x(-LEAST_CHANGE)}" y="${TOP}" width="${band.toFixed(1)}" height="${bottom - TOP}"/>
${grid.join('\n')}
${body.join('\n')}
${legend.map(([shape, at, text]) => `${shape}<text class="soft" x="${at}" y="${legendY}">${text}</text>`).join('\n')}
</svg>
`;
}

function rowOf(one: Judged, y: number, x: (share: number) => number): string {
  const name = one.name.length > 44 ? `${one.name.slice(0, 43)}…` : one.name;
  return (
    `<g><title>${escaped(`${one.name}: ${percent(one.change)}, ${one.verdict}`)}</title>` +
    `<text x="32" y="${y + 4}">${escaped(name)}</text>` +
    `<line class="interval" x1="${x(one.low)}" x2="${x(one.high)}" y1="${y}" y2="${y}"/>` +
    mark(one.verdict, x(one.change), y) +
    `<text x="${WIDTH - 16}" y="${y + 4}" text-anchor="end">${percent(one.change)} <tspan class="soft">to ${one.now.toPrecision(3)} ×</tspan></text></g>`
  );
}
