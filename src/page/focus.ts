/** Whether no element has the focus, for example because the focused one was removed. */
export function isFocusLost (): boolean {
  return document.activeElement === null || document.activeElement === document.body
}

/** Focuses the content of the page, if no closer element can get the focus. */
export function focusMain (): void {
  document.getElementById('main')?.focus()
}
