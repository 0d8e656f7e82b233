"""What a service is started with."""

from __future__ import annotations

from featmatch.service.options import ServeOptions


def test_what_follows_from_the_options() -> None:
    options = ServeOptions(searches=3, max_upload=100, decode_timeout=7.0, allowed_hosts=("Photos.example",))
    assert (options.waiting, options.max_batch, options.decoding.timeout) == (12, 800, 7.0)
    assert ServeOptions(searches=3, queue=0).waiting == 0
    assert options.hosts == {"localhost", "127.0.0.1", "::1", "photos.example"}
    assert options.is_local
    assert not ServeOptions(host="0.0.0.0").is_local
    assert "192.168.1.5" in ServeOptions(host="192.168.1.5").hosts
