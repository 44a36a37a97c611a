package surface

func (b *binaryFile) mentions(f *Facts, size int64) {}
