// The time line: a strip with a mark for each event, and the list of the newest.
import { element, setChildren, setText } from "./dom";
import { clock, duration } from "./format";
import { Entry, KINDS, KIND_TITLES, KIND_WORDS, Kind } from "./timeline";

const SVG = "http://www.w3.org/2000/svg";
const LANE = 18;
const LEFT = 92;
const listed = (): number => (matchMedia("(max-width: 46rem)").matches ? 25 : 100);
const MARKED = 400;

export class TimelineView {
  readonly node: HTMLElement;
  private readonly strip = document.createElementNS(SVG, "svg");
  private readonly list = element("ol", "events");
  private readonly span = element("p", "note");
  private readonly items = new Map<string, HTMLLIElement>();
  private readonly hidden = new Set<Kind>();
  private last: { entries: readonly Entry[]; now: number } = { entries: [], now: 0 };
  private drawn = "";
  // Asked for when it changes only: it would cost a layout of the page.
  private width = 300;

  constructor() {
    const filters = element("div", "filters");
    filters.setAttribute("role", "group");
    filters.setAttribute("aria-label", "Kinds of events");
    for (const kind of KINDS) {
      const box = element("input");
      box.type = "checkbox";
      box.checked = true;
      box.addEventListener("change", () => {
        if (box.checked) this.hidden.delete(kind);
        else this.hidden.add(kind);
        this.update(this.last.entries, this.last.now);
      });
      filters.append(element("label", "", box, ` ${KIND_TITLES[kind]}`));
    }
    this.strip.setAttribute("class", "strip");
    this.strip.setAttribute("role", "img");
    this.strip.setAttribute("aria-label", "Events by time; the list below has the same in words");
    this.node = element("div", "", filters, this.strip, this.span, this.list);
    new ResizeObserver((entries) => {
      this.width = Math.max(300, entries[0]!.contentRect.width);
      this.update(this.last.entries, this.last.now);
    }).observe(this.strip);
  }

  update(entries: readonly Entry[], now: number): void {
    this.last = { entries, now };
    const shown = entries.filter((entry) => !this.hidden.has(entry.kind));
    const kept = new Set<string>();
    const wanted = shown.slice(0, listed()).map((entry) => {
      kept.add(entry.key);
      let item = this.items.get(entry.key);
      if (item === undefined) {
        item = element("li", entry.kind, element("time"), element("b"), element("span"));
        this.items.set(entry.key, item);
      }
      setText(item.children[0]!, clock(entry.unixMs, now));
      setText(item.children[1]!, entry.job === "" ? KIND_WORDS[entry.kind] : `${KIND_WORDS[entry.kind]}, ${entry.job}`);
      setText(item.children[2]!, entry.text);
      return item;
    });
    for (const key of this.items.keys()) {
      if (!kept.has(key)) this.items.delete(key);
    }
    setChildren(this.list, wanted);
    this.draw(shown.slice(0, MARKED), now);
  }

  private draw(entries: readonly Entry[], now: number): void {
    const width = this.width;
    const oldest = entries[entries.length - 1]?.unixMs ?? now;
    const length = Math.max(10000, now - oldest);
    setText(this.span, entries.length === 0 ? "No events." : `The strip is of the last ${duration(length / 1000)}; below are the newest ${Math.min(listed(), entries.length)} events, of the chosen jobs and of all members.`);
    // A pixel's worth of time, and what is shown: nothing else moves a mark.
    const drawn = `${width} ${Math.floor(now / (length / width))} ${entries.length} ${entries[0]?.key ?? ""} ${[...this.hidden].join()}`;
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    this.strip.setAttribute("viewBox", `0 0 ${width} ${KINDS.length * LANE}`);
    this.strip.setAttribute("height", String(KINDS.length * LANE));
    const parts: Element[] = [];
    KINDS.forEach((kind, lane) => {
      const middle = lane * LANE + LANE / 2;
      parts.push(shape("line", { x1: LEFT, x2: width, y1: middle, y2: middle, class: "lane" }));
      const title = shape("text", { x: 0, y: middle + 4 });
      title.textContent = KIND_TITLES[kind];
      parts.push(title);
    });
    for (const entry of entries) {
      const x = LEFT + (width - LEFT - 6) * (1 - Math.max(0, now - entry.unixMs) / length);
      const mark = shape("circle", { cx: x.toFixed(1), cy: KINDS.indexOf(entry.kind) * LANE + LANE / 2, r: 4, class: entry.kind });
      const title = document.createElementNS(SVG, "title");
      title.textContent = `${clock(entry.unixMs, now)} ${entry.text}`;
      mark.append(title);
      parts.push(mark);
    }
    this.strip.replaceChildren(...parts);
  }
}

function shape(name: string, attributes: Record<string, string | number>): SVGElement {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}
