import { Icon } from '../icon.tsx'
import { texts } from '../texts.ts'
import { layout, showAs, type Layout } from './layout.ts'

const layouts: readonly Layout[] = ['list', 'tiles']

/** Buttons for a list or for tiles. */
export function LayoutChoice () {
  return (
    <div class='layouts' role='group' aria-label={texts.files.layout}>
      {layouts.map(name => (
        <button
          key={name} type='button' class='quiet' aria-pressed={layout.value === name} aria-label={texts.files.layouts[name]}
          title={texts.files.layouts[name]} onClick={() => showAs(name)}
        >
          <Icon name={name} />
        </button>
      ))}
    </div>
  )
}
