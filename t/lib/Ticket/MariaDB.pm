package Ticket::MariaDB;

# A MariaDB for a test: a private server on a unix socket, or, when
# TICKET_TEST_DB_SOCKET names a running one (whose root needs no password), a
# schema of the test's own in it.  Either way migrated, with an account that
# may do what sql/grants-worker.sql says.  When it is stopped at the end the
# invariants are checked, and a schema in a shared server is dropped.

use strict;
use warnings;

use parent 'Ticket::Service';
use Ticket::Test ();

# Options: dir (an existing directory), private (1: never the shared server,
# for tests that stop it).
sub new {
    my ($class, %args) = @_;
    my $shared = $args{private} ? undef : $ENV{TICKET_TEST_DB_SOCKET};
    my $schema = $shared ? "ticket_test_$$" : 'ticket';
    my $dir = "$args{dir}/db";
    my $self = $class->create(
        name => 'mariadb', dir => $dir, schema => $schema, shared => $shared,
        socket => $shared // "$args{dir}/db.sock", log => "$args{dir}/mariadb.log",
        user => $shared ? $schema : 'ticket_worker', password_file => "$args{dir}/db.password",
        password => join('', map { ('a' .. 'z')[rand 26] } 1 .. 24),
    );
    $self->_install($args{dir}) if !$shared;
    $self->_set_up;
    return $self;
}

sub _install {
    my ($self, $parent) = @_;
    # Temporary tables in a folder of their own: in /tmp two servers that start
    # at the same time have removed each other's.
    my $tmp = "$self->{dir}/tmp";
    mkdir $_ or die "mkdir $_: $!\n" for $self->{dir}, $tmp;
    my @user;
    if ($> == 0) {
        @user = ('--user=mysql');
        my ($uid, $gid) = (getpwnam 'mysql')[2, 3];
        chown $uid, $gid, $self->{dir}, $tmp or die "chown $self->{dir}: $!\n";
        # The socket lies in the test's directory, next to those of others.
        chmod 0711, $parent;
        $self->{socket} = "$self->{dir}/db.sock";
    }
    my ($status, $out, $err) = Ticket::Test::run('mariadb-install-db', '--no-defaults', '--force', @user,
        "--datadir=$self->{dir}/data", "--tmpdir=$tmp", '--auth-root-authentication-method=normal',
        '--skip-test-db');
    die "mariadb-install-db: $out$err\n" if $status;
    $self->{command} = ['/usr/sbin/mariadbd', '--no-defaults', @user,
        "--datadir=$self->{dir}/data", "--tmpdir=$tmp", "--socket=$self->{socket}",
        "--pid-file=$self->{dir}/db.pid", '--skip-networking', '--innodb-buffer-pool-size=64M',
        '--max-connections=200', '--innodb-print-all-deadlocks=ON'];
    return $self->start;
}

# Starts the private server again, and waits until it answers.
sub start {
    my ($self) = @_;
    $self->spawn;
    $self->await(sub { !(Ticket::Test::run($self->_client, '-e', 'SELECT 1'))[0] }, 30, 'answer');
    return $self;
}

sub _set_up {
    my ($self) = @_;
    $self->_admin("CREATE DATABASE $self->{schema}");
    my ($status, $out, $err) = $self->script('migrate');
    die "migrate: $out$err\n" if $status;

    my $account = "'$self->{user}'\@'localhost'";
    $self->_admin("CREATE USER $account IDENTIFIED BY '$self->{password}'");
    my $grants = Ticket::Test::slurp(Ticket::Test::root_dir() . '/sql/grants-worker.sql');
    $grants =~ s/^--.*\n//mg;
    $grants =~ s/'ticket_worker'\@'localhost'/$account/g;
    $self->do($grants);

    write_secret($self->{password_file}, "$self->{password}\n");
    return;
}

# Writes a file that only its owner may read.
sub write_secret {
    my ($path, @text) = @_;
    my $mask = umask 0077;
    open my $fh, '>', $path or die "$path: $!\n";
    print {$fh} @text;
    close $fh or die "$path: $!\n";
    umask $mask;
    return;
}

sub _client {
    my ($self) = @_;
    return ('mariadb', '--no-defaults', '--batch', '--skip-column-names',
            "--socket=$self->{socket}", '--user=root');
}

sub _ask {
    my ($self, @command) = @_;
    my ($status, $out, $err) = Ticket::Test::run(@command);
    die "mariadb: $err\n" if $status;
    return $out;
}

sub _admin {
    my ($self, $sql) = @_;
    return $self->_ask($self->_client, '-e', $sql);
}

# Runs SQL in the test's schema, as root.
sub do {
    my ($self, $sql) = @_;
    $self->_ask($self->_client, $self->{schema}, '-e', $sql);
    return;
}

# The rows of a query, as root: a reference to a list of lists, NULL is undef.
sub rows {
    my ($self, $sql) = @_;
    my $out = $self->_ask($self->_client, $self->{schema}, '-e', $sql);
    return [map { [map { $_ eq 'NULL' ? undef : $_ } split /\t/, $_, -1] } split /\n/, $out];
}

# The first value of the first row.
sub value { return $_[0]->rows($_[1])->[0][0] }

# Runs a script of scripts/ on the schema; returns status, stdout, stderr.
sub script {
    my ($self, $name, @more) = @_;
    return Ticket::Test::run(Ticket::Test::root_dir() . "/scripts/$name", $self->{schema},
                             "--socket=$self->{socket}", '--user=root', @more);
}

# What the invariants have to say: '' when all hold.
sub broken {
    my ($self) = @_;
    my ($status, $out, $err) = $self->script('check-invariants');
    return $status == 0 ? '' : "$out$err";
}

# A performance of its own with the seats named, in rows of ten.
sub add_performance {
    my ($self, $id, $room, $ttl_ms, @seats) = @_;
    my $n = 0;
    my @values = map { my $i = $n++; "($id, '$_', " . int($i / 10) . ', ' . $i % 10 . ')' } @seats;
    $self->do("INSERT INTO performance (id, name, room, hold_ttl_ms)
               VALUES ($id, 'Performance $id', '$room', $ttl_ms);
               INSERT INTO seat (performance_id, seat, row_no, pos) VALUES " . join ',', @values);
    return;
}

# A shared server has no process here; then it is "alive" while the schema is.
sub alive {
    my ($self) = @_;
    return $self->{shared} ? 0 : $self->SUPER::alive;
}

sub stop {
    my ($self) = @_;
    return if $self->{dropped} || !($self->{shared} || $self->alive);
    my $broken = eval { $self->broken } // $@;
    $self->problem("broken invariants:\n$broken") if $broken;
    if ($self->{shared}) {
        $self->{dropped} = 1;
        $self->_admin("DROP DATABASE $self->{schema}; DROP USER '$self->{user}'\@'localhost'");
        return;
    }
    return $self->SUPER::stop;
}

sub socket        { return $_[0]{socket} }
sub schema        { return $_[0]{schema} }
sub user          { return $_[0]{user} }
sub password_file { return $_[0]{password_file} }

1;
