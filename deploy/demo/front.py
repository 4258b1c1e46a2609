"""The address that clients know, as a name or a load balancer would be: leads to where the machine is now."""

import socket
import threading


class Front:
    def __init__(self):
        self.backend = None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def lead_to(self, address):
        """From now on new connections go to `address` (HOST:PORT); None: nowhere."""
        self.backend = address

    def _accept(self):
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            host, _, port = (self.backend or "").rpartition(":")
            server = socket.create_connection((host, int(port)), timeout=5)
        except (OSError, ValueError):
            client.close()
            return
        server.settimeout(None)
        threading.Thread(target=_copy, args=(client, server), daemon=True).start()
        _copy(server, client)


def _copy(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
