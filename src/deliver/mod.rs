//! Notes to files and mail.
