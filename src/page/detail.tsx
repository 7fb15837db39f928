import type { ComponentChildren } from 'preact'

/** A term of a `<dl>` with its value. */
export function Detail ({ label, children }: { label: string, children: ComponentChildren }) {
  return <div><dt>{label}</dt><dd>{children}</dd></div>
}
