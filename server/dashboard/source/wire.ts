// Reads the JSON of protobuf messages: 64-bit numbers are texts there, as are NaN and infinities, and what is empty may be missing.

type Raw = Record<string, unknown>;

// One message. The names are those of the .proto; a test compares them.
export class Reader {
  private readonly raw: Raw;

  constructor(value: unknown) {
    this.raw = typeof value === "object" && value !== null ? (value as Raw) : {};
  }

  // 0 if it is missing.
  number(name: string): number {
    const value = this.raw[name];
    return value === undefined || value === null ? 0 : Number(value);
  }

  has(name: string): boolean {
    return this.raw[name] !== undefined && this.raw[name] !== null;
  }

  text(name: string): string {
    const value = this.raw[name];
    return typeof value === "string" ? value : "";
  }

  flag(name: string): boolean {
    return this.raw[name] === true;
  }

  numbers(name: string): number[] {
    return this.values(name).map(Number);
  }

  texts(name: string): string[] {
    return this.values(name).map(String);
  }

  message<T>(name: string, read: (message: Reader) => T): T {
    return read(new Reader(this.raw[name]));
  }

  messages<T>(name: string, read: (message: Reader) => T): T[] {
    return this.values(name).map((value) => read(new Reader(value)));
  }

  private values(name: string): unknown[] {
    const value = this.raw[name];
    return Array.isArray(value) ? value : [];
  }
}
