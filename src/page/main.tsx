import { render } from 'preact'
import { App } from './app.tsx'
import { restoreSession, watchSession } from './session.ts'
import { connectWorker } from './worker-link.ts'

void restoreSession()
watchSession()
// Where it fails, downloads go through memory instead.
connectWorker().catch(() => {})
render(<App />, document.body)
