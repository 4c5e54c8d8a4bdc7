// The stretch of iterations that all charts show; null: all there are.
export type Span = { min: number; max: number };

export class Zoom {
  private span: Span | null = null;
  private full: Span = { min: 0, max: 1 };
  private readonly listeners: (() => void)[] = [];

  onChange(listener: () => void): void {
    this.listeners.push(listener);
  }

  // The stretch that there is. One that shows all goes on to show all.
  setFull(full: Span): void {
    this.full = full.max > full.min ? full : { min: full.min, max: full.min + 1 };
  }

  shown(): Span {
    return this.span ?? this.full;
  }

  zoomed(): boolean {
    return this.span !== null;
  }

  set(span: Span | null): void {
    if (span !== null) {
      const width = Math.max(1, Math.min(span.max - span.min, this.full.max - this.full.min));
      const min = Math.max(this.full.min, Math.min(span.min, this.full.max - width));
      span = width >= this.full.max - this.full.min ? null : { min, max: min + width };
    }
    this.span = span;
    for (const listener of this.listeners) listener();
  }

  // Below 1: closer, about the middle.
  scale(factor: number): void {
    const { min, max } = this.shown();
    const middle = (min + max) / 2, half = ((max - min) / 2) * factor;
    this.set({ min: middle - half, max: middle + half });
  }

  // By a part of the width.
  pan(part: number): void {
    if (this.span === null) return;
    const by = (this.span.max - this.span.min) * part;
    this.set({ min: this.span.min + by, max: this.span.max + by });
  }
}
