// A table whose rows are known by keys and changed in place.
import { element, setAttribute, setChildren, setClass, setText } from "./dom";

// Beside a text: a line in small letters, and whether it is trouble.
export interface CellText {
  text: string;
  note?: string;
  bad?: boolean;
}

export interface Column<Row> {
  head: string;
  // Explains the column.
  title?: string;
  numeric?: boolean;
  // Its texts may be long: on a phone the cell has a line of its own.
  wide?: boolean;
  // A text, or a function that changes the cell itself.
  cell: (row: Row) => string | CellText;
  draw?: (cell: HTMLElement, row: Row) => void;
}

// As many rows are shown before somebody asks for all; on a phone each is a card.
const firstRows = (): number => (matchMedia("(max-width: 46rem)").matches ? 8 : 20);

export class Table<Row> {
  readonly node: HTMLElement;
  private readonly body = element("tbody");
  private readonly more = element("button", "more");
  private readonly rows = new Map<string, HTMLTableRowElement>();
  private last: readonly Row[] = [];
  private all = false;

  constructor(caption: string, private readonly noun: string, private readonly columns: readonly Column<Row>[],
              private readonly keyOf: (row: Row) => string, private readonly isBad: (row: Row) => boolean) {
    const head = element("tr");
    for (const column of columns) {
      const cell = element("th", column.numeric ? "number" : "", column.head);
      cell.scope = "col";
      if (column.title) cell.title = column.title;
      head.append(cell);
    }
    const table = element("table", "", element("caption", "", caption), element("thead", "", head), this.body);
    this.more.type = "button";
    this.more.hidden = true;
    this.more.addEventListener("click", () => {
      this.all = !this.all;
      this.update(this.last);
    });
    const scroller = element("div", "scroller", table);
    // Whatever scrolls can be scrolled by the keyboard.
    scroller.tabIndex = 0;
    scroller.setAttribute("role", "region");
    scroller.setAttribute("aria-label", caption);
    this.node = element("div", "", scroller, this.more);
  }

  update(rows: readonly Row[]): void {
    this.last = rows;
    const first = firstRows();
    const shown = this.all ? rows : rows.slice(0, first);
    const kept = new Set<string>();
    const wanted = shown.map((row) => {
      const key = this.keyOf(row);
      kept.add(key);
      let node = this.rows.get(key);
      if (node === undefined) {
        node = this.makeRow();
        this.rows.set(key, node);
      }
      this.fill(node, row);
      return node;
    });
    for (const key of this.rows.keys()) {
      if (!kept.has(key)) this.rows.delete(key);
    }
    setChildren(this.body, wanted);
    this.more.hidden = rows.length <= first;
    setText(this.more, this.all ? `Show the first ${first} ${this.noun}` : `Show all ${rows.length} ${this.noun}`);
  }

  private makeRow(): HTMLTableRowElement {
    const row = element("tr");
    this.columns.forEach((column, i) => {
      const cell = element(i === 0 ? "th" : "td", column.numeric ? "number" : column.wide ? "wide" : "");
      if (i === 0) (cell as HTMLTableCellElement).scope = "row";
      cell.dataset["head"] = column.head;
      cell.append(element("span"), element("small"));
      row.append(cell);
    });
    return row;
  }

  private fill(node: HTMLTableRowElement, row: Row): void {
    setClass(node, "bad", this.isBad(row));
    this.columns.forEach((column, i) => {
      const cell = node.children[i] as HTMLElement;
      if (column.draw) return column.draw(cell, row);
      const value = column.cell(row);
      const { text, note = "", bad = false } = typeof value === "string" ? { text: value } : value;
      setText(cell.children[0]!, text);
      setText(cell.children[1]!, note);
      setClass(cell, "bad", bad);
      setAttribute(cell, "data-empty", text === "" && note === "" ? "" : null);
    });
  }
}
