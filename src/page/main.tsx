import { render } from 'preact'
import { App } from './app.tsx'
import { restoreSession, watchSession } from './session.ts'
import { watchView } from './view.ts'
import { connectWorker } from './worker-link.ts'

void restoreSession()
watchSession()
watchView()
// Without the service worker, downloads are loaded into memory first.
connectWorker().catch(() => {})
render(<App />, document.body)
