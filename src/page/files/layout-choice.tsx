import { IconButton } from '../icon-button.tsx'
import { texts } from '../texts.ts'
import { addressOf, openFolder, timelineOf, view } from '../view.ts'
import { layout, showAs, type Layout } from './layout.ts'

const icons = { list: 'list', tiles: 'tiles', timeline: 'image' } as const

/** Buttons for a list or for tiles; in a folder, for the timeline of its pictures too. */
export function LayoutChoice () {
  const isTimeline = view.value === 'timeline'
  const hasTimeline = isTimeline || view.value === 'files'
  const choose = (name: Layout | 'timeline') => {
    if (name !== 'timeline') showAs(name)
    if (isTimeline !== (name === 'timeline')) {
      location.hash = isTimeline ? addressOf(openFolder.peek()) : timelineOf(openFolder.peek())
    }
  }
  return (
    <div class='layouts' role='group' aria-label={texts.files.layout}>
      {(['list', 'tiles', ...hasTimeline ? ['timeline' as const] : []] as const).map(name => (
        <IconButton
          key={name} icon={icons[name]} label={texts.files.layouts[name]} title={texts.files.layouts[name]}
          aria-pressed={name === (isTimeline ? 'timeline' : layout.value)} onClick={() => choose(name)}
        />
      ))}
    </div>
  )
}
