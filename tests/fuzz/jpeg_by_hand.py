"""JPEGs whose blocks of 8x8 have one value each: small, and what is read of them is known exactly."""


def jpeg(width, height, blocks, transform=0, before=b"", frame=0xC0):
    """`blocks`: row by row, a tuple of as many values as there are components."""
    components = len(blocks[0])
    out = b"\xff\xd8" + before
    if components > 1:  # Adobe's marker: 0 RGB or CMYK, 1 YCbCr, 2 YCCK
        out += b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + bytes([transform])
    out += b"\xff\xdb\x00\x43\x00" + bytes([8] * 64)
    out += b"\xff" + bytes([frame, 0, 8 + 3 * components, 8, height >> 8, height & 255, width >> 8, width & 255,
                            components])
    for c in range(components):
        out += bytes([c + 1, 0x11, 0])
    # DC: the categories 0 to 11 in four bits each. AC: the end of a block, in one.
    out += b"\xff\xc4\x00\x1f\x00" + bytes([0, 0, 0, 12] + [0] * 12) + bytes(range(12))
    out += b"\xff\xc4\x00\x14\x10" + bytes([1] + [0] * 15) + b"\x00"
    out += b"\xff\xda\x00" + bytes([6 + 2 * components, components])
    for c in range(components):
        out += bytes([c + 1, 0])
    out += bytes([0, 0 if frame == 0xC2 else 63, 0])
    bits, last = "", [0] * components
    for block in blocks:
        for c, value in enumerate(block):
            step = value - 128 - last[c]
            last[c] += step
            category = abs(step).bit_length()
            bits += format(category, "04b")
            if category:
                bits += format(step if step > 0 else step + (1 << category) - 1, "0%db" % category)
            if frame != 0xC2:
                bits += "0"
    bits += "1" * (-len(bits) % 8)
    scan = bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))
    return out + scan.replace(b"\xff", b"\xff\x00") + b"\xff\xd9"
