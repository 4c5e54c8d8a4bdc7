// One chart: uPlot in a figure, with a legend that tells the values at the cursor, and keys for what the mouse does.
import uPlot from "uplot";
import { Line } from "./chart_data";
import { element, setText } from "./dom";
import { NONE, figure, short, whole } from "./format";
import { Zoom } from "./zoom";

const HEIGHT = 240;
const DASHES = [[], [6, 4], [2, 3], [10, 3, 2, 3]];

export interface ChartLook {
  text: string;
  grid: string;
  lines: string[];
}

// The colours that the page has now.
export function currentLook(): ChartLook {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string): string => style.getPropertyValue(name).trim();
  return { text: colour("--muted"), grid: colour("--grid"), lines: [1, 2, 3, 4, 5, 6].map((i) => colour(`--line-${i}`)) };
}

export class Chart {
  readonly node: HTMLElement;
  private readonly place = element("div", "plot");
  private readonly legend = element("ul", "legend");
  private readonly empty = element("p", "empty");
  private plot: uPlot | null = null;
  private lines: readonly Line[] = [];
  private values: HTMLElement[] = [];
  // What the plot was made for; another one is made where it differs.
  private made = "";
  private drawn = "";

  constructor(readonly id: string, title: string, private readonly unit: string, emptyText: string, private readonly zoom: Zoom,
              private readonly onLog: () => void) {
    this.node = element("figure", "chart");
    this.node.id = id;
    this.node.tabIndex = 0;
    const caption = element("figcaption", "", title, element("small", "", unit === "" ? "" : ` in ${unit}`));
    this.node.append(caption, this.place, this.empty, this.legend);
    this.node.setAttribute("aria-label", `${title}. Keys: plus and minus zoom, arrows move, 0 shows all, L changes the scale`);
    setText(this.empty, emptyText);
    this.node.addEventListener("keydown", (event) => this.onKey(event));
    new ResizeObserver(() => this.resize()).observe(this.place);
  }

  update(lines: readonly Line[], logarithmic: boolean, look: ChartLook): void {
    this.lines = lines;
    this.empty.hidden = lines.length > 0;
    this.place.hidden = lines.length === 0;
    const wanted = JSON.stringify([lines.map((line) => [line.name, line.colour, line.dash, line.xs[0]]), logarithmic, look]);
    // What is drawn already is not drawn again.
    const drawn = JSON.stringify([wanted, this.zoom.shown(), lines.map((line) => [line.xs.length, line.xs[line.xs.length - 1], line.ys[line.ys.length - 1]])]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    const data = lines.length === 0 ? null : this.joined();
    if (wanted !== this.made || data === null) this.remake(wanted, data, logarithmic, look);
    else this.plot!.setData(data, true);
    this.tellValues();
  }

  // After the zoom has changed.
  redraw(): void {
    if (this.plot === null) return;
    const { min, max } = this.zoom.shown();
    this.plot.setScale("x", { min, max });
  }

  private joined(): uPlot.AlignedData {
    const tables = this.lines.map((line): uPlot.AlignedData => [line.xs, line.ys]);
    // Nulls fall out: lines go on over iterations that others have.
    return tables.length === 1 ? tables[0]! : uPlot.join(tables, tables.map(() => [0, 0]));
  }

  private remake(wanted: string, data: uPlot.AlignedData | null, logarithmic: boolean, look: ChartLook): void {
    this.plot?.destroy();
    this.plot = null;
    this.made = wanted;
    this.makeLegend(look);
    if (data === null) return;
    const axis = { stroke: look.text, grid: { stroke: look.grid, width: 1 }, ticks: { stroke: look.grid, width: 1 }, font: "12px system-ui, sans-serif" };
    this.plot = new uPlot({
      width: Math.max(200, this.place.clientWidth),
      height: HEIGHT,
      scales: {
        x: { time: false, range: () => [this.zoom.shown().min, this.zoom.shown().max] },
        y: logarithmic ? { distr: 3, log: 10 } : {},
      },
      axes: [
        { ...axis, size: 34, values: (_, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? whole(tick) : "")) },
        { ...axis, size: 64, values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : short(tick))) },
      ],
      series: [{}, ...this.lines.map((line): uPlot.Series => ({
        label: line.name, stroke: look.lines[line.colour % look.lines.length]!, width: line.marks ? 1.5 : 1.25,
        dash: DASHES[line.dash % DASHES.length]!, spanGaps: true, points: line.marks ? { show: true, size: 6, fill: look.lines[line.colour % look.lines.length]! } : { show: false },
      }))],
      legend: { show: false },
      cursor: { drag: { x: true, y: false, setScale: false }, bind: { dblclick: () => () => { this.zoom.set(null); return null; } } },
      hooks: {
        setSelect: [(plot) => this.select(plot)],
        setCursor: [() => this.tellValues()],
      },
    }, data, this.place);
  }

  private select(plot: uPlot): void {
    const { left, width } = plot.select;
    if (width < 2) return;
    const span = { min: plot.posToVal(left, "x"), max: plot.posToVal(left + width, "x") };
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.zoom.set(span);
  }

  private makeLegend(look: ChartLook): void {
    this.values = [];
    this.legend.replaceChildren(...this.lines.map((line) => {
      const swatch = element("span", `swatch dash-${line.dash % DASHES.length}`);
      swatch.style.borderTopColor = look.lines[line.colour % look.lines.length]!;
      const value = element("b");
      this.values.push(value);
      return element("li", "", swatch, `${line.name} `, value);
    }));
  }

  // Those at the cursor, or the newest.
  private tellValues(): void {
    const at = this.plot?.cursor.idx ?? null;
    const x = at === null ? null : this.plot!.data[0][at] ?? null;
    this.lines.forEach((line, i) => {
      let value: number | null = null;
      for (let k = line.xs.length - 1; k >= 0 && value === null; --k) {
        if (x === null || line.xs[k]! <= x) value = line.ys[k] ?? null;
      }
      const unit = this.unit === "" ? "" : ` ${this.unit}`;
      if (this.values[i]) setText(this.values[i]!, value === null ? NONE : figure(value) + unit);
    });
  }

  private resize(): void {
    const width = this.place.clientWidth;
    if (this.plot !== null && width > 0 && width !== this.plot.width) this.plot.setSize({ width, height: HEIGHT });
  }

  private onKey(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    switch (event.key) {
      case "+": case "=": this.zoom.scale(0.5); break;
      case "-": this.zoom.scale(2); break;
      case "ArrowLeft": this.zoom.pan(-0.25); break;
      case "ArrowRight": this.zoom.pan(0.25); break;
      case "0": case "Escape": this.zoom.set(null); break;
      case "l": case "L": this.onLog(); break;
      default: return;
    }
    event.preventDefault();
  }
}
