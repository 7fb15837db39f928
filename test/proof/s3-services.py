"""Runs another implementation of S3 on a free port of this machine, until standard input ends: `s3-services.py moto|swift FOLDER`.

Prints the port when it is ready. Both come with Debian: python3-moto with python3-flask-cors, and python3-swift.
"""
import os
import select
import sys


def start_moto(folder):
    from moto.server import ThreadedMotoServer
    server = ThreadedMotoServer(ip_address='127.0.0.1', port=0, verbose=False)
    server.start()
    return server.get_host_and_port()[1]


def start_swift(folder):
    """Swift's proxy with its S3 face, and one account, container and object server, in one process."""
    import eventlet
    eventlet.monkey_patch()
    from eventlet import wsgi
    from swift.common import utils
    utils.HASH_PATH_SUFFIX = b'of a test'
    from swift.account.server import AccountController
    from swift.common.middleware import bulk, copy, slo, tempauth
    from swift.common.middleware.s3api import s3api
    from swift.common.ring import RingBuilder
    from swift.common.wsgi import SwiftHttpProtocol
    from swift.container.server import ContainerController
    from swift.obj.mem_server import ObjectController
    from swift.proxy.server import Application

    def serve(app):
        socket = eventlet.listen(('127.0.0.1', 0))
        eventlet.spawn(wsgi.server, socket, app, log_output=False, protocol=SwiftHttpProtocol)
        return socket.getsockname()[1]

    conf = {'devices': folder, 'swift_dir': folder, 'mount_check': 'false', 'account_autocreate': 'true', 'log_level': 'CRITICAL'}
    os.makedirs(os.path.join(folder, 'device'))
    for name, controller in (('account', AccountController), ('container', ContainerController), ('object', ObjectController)):
        ring = RingBuilder(1, 1, 1)
        ring.add_dev({'id': 0, 'region': 1, 'zone': 1, 'weight': 1, 'ip': '127.0.0.1', 'port': serve(controller(conf)), 'device': 'device'})
        ring.rebalance()
        ring.get_ring().save(os.path.join(folder, name + '.ring.gz'))
    # By default it gives up a server that takes half a second to accept a connection, and after ten of these leaves it out for a minute.
    app = Application({**conf, 'conn_timeout': '30', 'node_timeout': '60', 'error_suppression_limit': '1000'})
    for factory, options in ((slo, {}), (copy, {}), (bulk, {}), (tempauth, {'user_test_tester': 'secret .admin'}), (s3api, {'location': 'eu-central-1'})):
        app = factory.filter_factory(conf, **options)(app)
    cache = Cache()
    return serve(lambda env, start_response: app(dict(env, **{'swift.cache': cache}), start_response))


class Cache:
    """In the place of memcached, which Swift's tempauth asks for."""
    def __init__(self):
        self.values = {}

    def get(self, key, *args, **kwargs):
        return self.values.get(key)

    def set(self, key, value, *args, **kwargs):
        self.values[key] = value

    def delete(self, key, *args, **kwargs):
        self.values.pop(key, None)


if __name__ == '__main__':
    port = {'moto': start_moto, 'swift': start_swift}[sys.argv[1]](sys.argv[2])
    print(port, flush=True)
    # Also in Swift, where it does not block the servers: eventlet has replaced it.
    select.select([sys.stdin], [], [])
    os._exit(0)
