import type { JSX } from 'preact'
import { Icon, type IconName } from './icon.tsx'

interface IconButtonProps extends JSX.HTMLAttributes<HTMLButtonElement> {
  icon: IconName
  /** The accessible name. */
  label: string
}

export function IconButton ({ icon, label, ...attributes }: IconButtonProps) {
  return <button type='button' class='quiet' aria-label={label} {...attributes}><Icon name={icon} /></button>
}
