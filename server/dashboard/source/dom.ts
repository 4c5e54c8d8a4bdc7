// Small helpers that change the page only where it differs. Texts of users go in as text, never as HTML.

export function element<K extends keyof HTMLElementTagNameMap>(
    tag: K, className = "", ...children: (Node | string)[]): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  if (className !== "") made.className = className;
  made.append(...children);
  return made;
}

export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no element ${id}`);
  return found as T;
}

// Characters that turn the direction of what follows, beyond the text itself.
const TURNING = /[\u202a-\u202e\u2066-\u2069]/g;

export function setText(node: Element, text: string): void {
  text = text.replace(TURNING, "\ufffd");
  if (node.textContent !== text) node.textContent = text;
}

export function setClass(node: Element, name: string, on: boolean): void {
  if (node.classList.contains(name) !== on) node.classList.toggle(name, on);
}

export function setAttribute(node: Element, name: string, value: string | null): void {
  if (node.getAttribute(name) === value) return;
  if (value === null) node.removeAttribute(name);
  else node.setAttribute(name, value);
}

// Makes the children of `parent` these, in this order; those that are in place stay.
export function setChildren(parent: Element, wanted: readonly Element[]): void {
  wanted.forEach((child, i) => {
    if (parent.children[i] !== child) parent.insertBefore(child, parent.children[i] ?? null);
  });
  while (parent.children.length > wanted.length) parent.lastElementChild!.remove();
}
