"""Real store servers on loopback, for tests and benchmarks, and a relay that breaks connections.

    with Server(VALKEY, Options(maxmemory_bytes=2**20)) as server:      # bench.servers.server
        server.url, server.port, server.client()                        # blocking, with all rights
        server.flush(); server.pause(); server.resume(); server.kill(); server.restart()

    with Cluster(REDIS) as cluster:                                     # bench.servers.cluster
        cluster.url, cluster.nodes[0].kill()

    with Watched(VALKEY) as watched:                                    # bench.servers.watched
        watched.sentinel_addresses, watched.name, watched.primary.kill(), watched.fail_over()

    async with FaultRelay(server.port) as relay:                        # bench.servers.relay
        relay.url(), relay.reply_delay_s, relay.stall(), relay.flow(), relay.cut()
        relay.lose_replies(1, to=b"EVALSHA")

    made = make_certificates(folder)                                    # bench.servers.certificates
    async with FaultRelay(server.port, tls=made.for_server()) as relay: # rediss://, any engine

`ENGINES` (bench.servers.engines) are the programs on this machine. Servers block for milliseconds
and belong to no event loop; a relay belongs to the loop that entered it. Whatever is started is
stopped and its folder removed at the end of the `with`, and also when the process is killed.
"""
