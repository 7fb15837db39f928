import helmet from '@fastify/helmet'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyPluginAsync } from 'fastify'

/**
 * Hides the choice of servers, because there is one. Shows the keyboard focus, also on the button that appears only
 * under a mouse. Makes the page fit a phone, without links between operations. Hides the button that saves a JSON
 * response: it looks as if it downloaded the uploaded file.
 */
const pageStyle = `
.swagger-ui .servers-title, .swagger-ui .servers { display: none }
.swagger-ui :focus-visible { outline: 3px solid #1b6ac9 !important; outline-offset: 1px }
.swagger-ui .highlight-code .download-contents { display: none }
.swagger-ui table.parameters:not(:has([data-param-name])) thead { display: none }
.swagger-ui .more-parameters { padding: 8px 0; border: 0; background: none; color: #1b6ac9; font: 14px sans-serif; text-decoration: underline; cursor: pointer }
.swagger-ui .opblock .opblock-summary .view-line-link:focus-within { width: 18px; margin: 0 5px; transition: none }
@media (max-width: 640px) {
  .swagger-ui .opblock .opblock-section-header .btn { min-width: 0; padding: 5px 12px; margin: 0 0 0 8px }
  .swagger-ui .responses-table { table-layout: fixed }
  .swagger-ui .responses-table .response-col_status { width: 56px }
  .swagger-ui .responses-table .response-col_links { display: none }
  .swagger-ui .response-controls { flex-wrap: wrap }
  .swagger-ui .response-controls select { max-width: 100% }
  .swagger-ui .headers-wrapper { overflow-x: auto }
}
`

/**
 * Swagger UI plugin. Sends requests to the server that the page came from, which may have several addresses. Collapses
 * parameters that are rarely needed: optional headers, and all optional ones if another is required. A parameter with a
 * value is always shown, because it is sent.
 */
const pagePlugin = `
const isRequired = parameter => parameter.get('required') === true

function isExtra (parameter, parameters) {
  return !isRequired(parameter) && (parameter.get('in') === 'header' || parameters.some(isRequired))
}

function pagePlugin ({ React }) {
  const Fold = React.createContext()

  const Parameters = Original => props => {
    const [isOpen, setOpen] = React.useState(false)
    const extra = props.parameters.filter(parameter => isExtra(parameter, props.parameters))
    const value = { isOpen, toggle: () => setOpen(!isOpen), extra, first: extra.first() }
    return React.createElement(Fold.Provider, { value }, React.createElement(Original, props))
  }

  const ParameterRow = Original => props => {
    const { isOpen, toggle, extra, first } = React.useContext(Fold)
    const row = React.createElement(Original, props)
    if (!extra.includes(props.rawParam)) return row
    const shown = isOpen || Boolean(props.param.get('value')) ? row : null
    if (props.rawParam !== first) return shown
    const label = isOpen ? 'Fewer parameters' : 'More parameters (' + extra.size + ')'
    const button = React.createElement('button', { type: 'button', className: 'more-parameters', 'aria-expanded': isOpen, onClick: toggle }, label)
    return React.createElement(React.Fragment, null, React.createElement('tr', null, React.createElement('td', { colSpan: 2 }, button)), shown)
  }

  const updateJsonSpec = original => document => original({ ...document, servers: [{ url: root.pathname }] })
  return { wrapComponents: { parameters: Parameters, parameterRow: ParameterRow }, statePlugins: { spec: { wrapActions: { updateJsonSpec } } } }
}

const root = new URL(location.pathname.endsWith('/') ? '..' : '.', location.href)
const openPage = window.SwaggerUIBundle
const withPlugin = options => openPage({ ...options, url: root.pathname + 'openapi.json', plugins: [...options.plugins, pagePlugin] })
window.SwaggerUIBundle = Object.assign(withPlugin, openPage)
`

/**
 * Swagger UI's page has no viewport, so that phones show a shrunk desktop layout. Its Authorize dialog focuses the last
 * field, does not keep Tab inside, and does not restore the focus when it closes.
 */
const dialogScript = `document.head.insertAdjacentHTML('beforeend', '<meta name="viewport" content="width=device-width, initial-scale=1">')

let box = null
let opener = null

document.addEventListener('click', ({ target }) => {
  if (box === null) opener = target.closest('.authorize, .authorization__btn')
}, true)

new MutationObserver(() => {
  const shown = document.querySelector('.dialog-ux .modal-ux')
  if (shown !== box) {
    box = shown
    if (box === null) return opener?.focus()
    Object.assign(box, { role: 'dialog', ariaModal: 'true', ariaLabel: 'Authorize' })
    box.querySelector('.modal-ux-content').querySelector('input, button').focus()
  } else if (box !== null && !box.contains(document.activeElement)) {
    // The submitted form has been removed, and the focused button with it.
    box.querySelector('.close-modal').focus()
  }
}).observe(document.body, { childList: true, subtree: true })

document.addEventListener('keydown', event => {
  if (event.key !== 'Tab' || box === null) return
  const stops = Array.from(box.querySelectorAll('a, button, input'))
  const [last, next] = event.shiftKey ? [stops[0], stops.at(-1)] : [stops.at(-1), stops[0]]
  if (document.activeElement !== last) return
  event.preventDefault()
  next.focus()
})
`

/** Swagger UI, served from the package's own files. */
export const docsRoutes: FastifyPluginAsync = async app => {
  await app.register(helmet, {
    // The page may be served without TLS; `upgrade-insecure-requests` would break its own requests.
    contentSecurityPolicy: { directives: { upgradeInsecureRequests: null } },
    strictTransportSecurity: false
  })
  // The plugin serves copies of the document that lack the address of this server.
  app.addHook('onRequest', async ({ routeOptions: { url } }, reply) => {
    if (url === '/docs/json' || url === '/docs/yaml') return reply.redirect(url.replace('/docs/', '../openapi.'))
  })
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    // Makes the addresses of scripts and styles relative: a proxy may add a path.
    indexPrefix: '.',
    uiConfig: {
      // Without the bar that opens another server's document.
      layout: 'BaseLayout',
      deepLinking: true,
      docExpansion: 'list',
      defaultModelsExpandDepth: 0,
      tryItOutEnabled: true,
      persistAuthorization: false,
      displayRequestDuration: true
    },
    theme: {
      title: 'MagicStore',
      css: [{ filename: 'page.css', content: pageStyle }],
      js: [{ filename: 'plugin.js', content: pagePlugin }, { filename: 'dialog.js', content: dialogScript }]
    }
  })
}
