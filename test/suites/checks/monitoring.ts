import '../../proof/monitoring.check.ts'
import '../../proof/operator.check.ts'
import '../../proof/serve.check.ts'
