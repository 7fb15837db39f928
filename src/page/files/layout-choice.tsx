import { IconButton } from '../icon-button.tsx'
import { texts } from '../texts.ts'
import { layout, showAs, type Layout } from './layout.ts'

const layouts: readonly Layout[] = ['list', 'tiles']

/** Buttons for a list or for tiles. */
export function LayoutChoice () {
  return (
    <div class='layouts' role='group' aria-label={texts.files.layout}>
      {layouts.map(name => (
        <IconButton
          key={name} icon={name} label={texts.files.layouts[name]} title={texts.files.layouts[name]}
          aria-pressed={layout.value === name} onClick={() => showAs(name)}
        />
      ))}
    </div>
  )
}
