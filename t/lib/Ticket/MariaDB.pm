package Ticket::MariaDB;

# A MariaDB for a test: a private server on a unix socket, or, when
# TICKET_TEST_DB_SOCKET names a running one (whose root needs no password), a
# schema of the test's own in it.  Either way migrated, with an account that
# may do what sql/grants-worker.sql and sql/grants-admin.sql say.  When it is
# stopped at the end the invariants are checked, and a schema in a shared
# server is dropped.

use strict;
use warnings;

use parent 'Ticket::Service';
use File::Temp ();
use IPC::Open2 ();
use Ticket::Test ();

my $schemas = 0;

# Options: dir (an existing directory), private (1: never the shared server,
# for tests that stop it), admin (0: without the grants of the admin routes),
# empty (1: an empty schema and no account, for tests of scripts/migrate),
# options (further arguments of a private mariadbd).
sub new {
    my ($class, %args) = @_;
    my $shared = $args{private} ? undef : $ENV{TICKET_TEST_DB_SOCKET};
    my $schema = $shared ? 'ticket_test_' . join('_', $$, $schemas++ || ()) : 'ticket';
    my $dir = "$args{dir}/db";
    my $self = $class->create(
        name => 'mariadb', dir => $dir, schema => $schema, shared => $shared,
        socket => $shared // "$args{dir}/db.sock", log => "$args{dir}/mariadb.log",
        user => $shared ? $schema : 'ticket_worker', password_file => "$args{dir}/db.password",
        password => join('', map { ('a' .. 'z')[rand 26] } 1 .. 24),
        grants => [$args{admin} // 1 ? qw(worker admin) : 'worker'], options => $args{options} // [],
    );
    $self->_install($args{dir}) if !$shared;
    $self->_admin("CREATE DATABASE $self->{schema}");
    $self->_set_up if !$args{empty};
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
        '--max-connections=200', '--innodb-print-all-deadlocks=ON', @{$self->{options}}];
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
    my ($status, $out, $err) = $self->script('migrate');
    die "migrate: $out$err\n" if $status;

    my $account = "'$self->{user}'\@'localhost'";
    $self->_admin("CREATE USER $account IDENTIFIED BY '$self->{password}'");
    for my $name (@{$self->{grants}}) {
        my $grants = Ticket::Test::slurp(Ticket::Test::root_dir() . "/sql/grants-$name.sql");
        $grants =~ s/'ticket_worker'\@'localhost'/$account/g;
        $self->load($grants);
    }

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

# The same for any amount of it.
sub load {
    my ($self, @sql) = @_;
    my $file = File::Temp->new(TEMPLATE => 'sqlXXXXXX', DIR => Ticket::Test::temp_dir());
    print {$file} @sql;
    close $file or die "$file: $!\n";
    $self->_ask($self->_client, '--default-character-set=utf8mb4', $self->{schema}, '-e', "source $file");
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

# A performance of its own with the seats named, in rows of ten, all of one
# tier.
sub add_performance {
    my ($self, $id, $room, $ttl_ms, @names) = @_;
    my $n = 0;
    my @seats = map { my $i = $n++; [$_, 0, int($i / 10), $i % 10, 'standard'] } @names;
    return $self->_add({id => $id, room => $room, ttl_ms => $ttl_ms},
                       [{name => 'Hall', focal => [450, 0]}], \@seats, []);
}

# A performance with a hall as wanted.  Options: id, room, name, ttl_ms
# (300000), max_ms, max_per_user, starts_at, sale_opens_at, sale_closes_at (SQL
# expressions), sections and pools, lists of hashes, and seat_name, what a seat
# is called by (section's name, row, pos), each counted from 1: SECTION-ROW-POS.
#   section: name, rows, seats_per_row, tier (standard), focal ([x, y]; the
#            middle of the front row), seats being 100 apart
#   pool:    name, capacity, tier (standing), buckets (1)
sub add_hall {
    my ($self, %hall) = @_;
    my $seat_name = $hall{seat_name} // sub { join '-', @_ };
    my (@seats, @sections);
    for my $section (@{$hall{sections} // []}) {
        my ($rows, $wide, $tier) = (@$section{qw(rows seats_per_row)}, $section->{tier} // 'standard');
        for my $row (1 .. $rows) {
            push @seats, map { [$seat_name->($section->{name}, $row, $_), scalar @sections, $row, $_, $tier] } 1 .. $wide;
        }
        push @sections, {name => $section->{name}, focal => $section->{focal} // [($wide + 1) * 50, 100]};
    }
    return $self->_add(\%hall, \@sections, \@seats, $hall{pools} // []);
}

# Venue, map, performance and inventory; a seat is [name, section, row, pos,
# tier], in this order.
sub _add {
    my ($self, $hall, $sections, $seats, $pools) = @_;
    my $value = sub { $_[0] // 'NULL' };
    my $id = $hall->{id};
    my $name = $hall->{name} // "Performance $id";
    my ($n, $section_no, $pool_no) = (0, 0, 0);
    my @buckets;
    for my $pool (@$pools) {
        my $parts = $pool->{buckets} // 1;
        push @buckets, map {
            my $capacity = int($pool->{capacity} / $parts) + ($_ < $pool->{capacity} % $parts);
            "($id, $pool_no, $_, $capacity)";
        } 0 .. $parts - 1;
        $pool_no++;
    }
    $pool_no = 0;
    $self->load(
        "START TRANSACTION;
         INSERT INTO venue (name) VALUES ('$name');
         INSERT INTO seat_map (venue_id, name) VALUES (LAST_INSERT_ID(), '$name');
         SET \@map = LAST_INSERT_ID();\n",
        _insert('map_section (map_id, section_no, name, focal_x, focal_y)',
                map { "(\@map, @{[$section_no++]}, '$_->{name}', " . join(', ', @{$_->{focal}}) . ')' } @$sections),
        _insert('map_seat (map_id, seat_no, name, section_no, row_no, pos, tier, x, y)', map {
            my ($seat, $section, $row, $pos, $tier) = @$_;
            "(\@map, @{[$n++]}, '$seat', $section, $row, $pos, '$tier', @{[$pos * 100]}, @{[$row * 100]})";
        } @$seats),
        _insert('map_pool (map_id, pool_no, name, tier, capacity)', map {
            "(\@map, @{[$pool_no++]}, '$_->{name}', '@{[$_->{tier} // 'standing']}', $_->{capacity})";
        } @$pools),
        _insert('performance (id, map_id, name, room, hold_ttl_ms, hold_max_ms, max_per_user,
                              starts_at, sale_opens_at, sale_closes_at)',
                "($id, \@map, '$name', '$hall->{room}', "
                . join(', ', $hall->{ttl_ms} // 300_000, $hall->{max_ms} // 86_400_000,
                       map { $value->($hall->{$_}) } qw(max_per_user starts_at sale_opens_at sale_closes_at)) . ')'),
        "INSERT INTO seat (performance_id, seat_no) SELECT $id, seat_no FROM map_seat WHERE map_id = \@map;\n",
        _insert('pool_bucket (performance_id, pool_no, bucket, capacity)', @buckets),
        'COMMIT;');
    return;
}

# INSERTs of the rows, thousands in each; none without rows.
sub _insert {
    my ($into, @rows) = @_;
    my @sql;
    push @sql, "INSERT INTO $into VALUES\n" . join(",\n", splice @rows, 0, 5000) . ";\n" while @rows;
    return @sql;
}

# The row of a seat as it is at this moment, a hash by the columns of seat_now.
sub seat {
    my ($self, $performance, $name) = @_;
    my @columns = qw(performance_id seat seat_no state version hold_id expires_at);
    my $row = $self->rows("SELECT @{[join ', ', @columns]} FROM seat_now
                           WHERE performance_id = $performance AND seat = '$name'")->[0]
        or die "performance $performance has no seat $name\n";
    my %seat;
    @seat{@columns} = @$row;
    return \%seat;
}

# Makes a seat free, sold or blocked as an operator would by hand, past the
# worker; a living hold on it is broken by that.
sub set_seat {
    my ($self, $performance, $name, $state) = @_;
    my $no = $self->seat($performance, $name)->{seat_no};
    my $sold = $state eq 'sold';
    my $order = "UNHEX(REPEAT('00', 16))";
    $self->do("START TRANSACTION;
               UPDATE seat SET state = '$state', version = version + 1, hold_id = NULL, expires_at = NULL,
                   order_id = @{[$sold ? $order : 'NULL']}
               WHERE performance_id = $performance AND seat_no = $no;
               DELETE FROM sale WHERE performance_id = $performance AND seat_no = $no;"
              . ($sold ? "INSERT INTO sale VALUES ($performance, $no, $order);" : '')
              . 'COMMIT');
    return;
}

# A session of root's that stays, for what lasts longer than a statement: a
# function that runs SQL in it, and one that ends it.
sub session {
    my ($self) = @_;
    my $pid = IPC::Open2::open2(my $out, my $in, $self->_client, '--unbuffered', $self->{schema});
    my $run = sub {
        my ($sql) = @_;
        print {$in} "$sql;\nSELECT 'done';\n" or die "mariadb: $!\n";
        $in->flush;
        while (defined(my $line = <$out>)) { return if $line eq "done\n" }
        die "mariadb has ended\n";
    };
    my $end = sub { close $in; close $out; waitpid $pid, 0; return };
    return ($run, $end);
}

# Keeps workers that start from now on from sweeping what has run out, and from
# moving the outbox; returns what lets them.
sub without_keeper {
    my ($self) = @_;
    my ($run, $end) = $self->session;
    $run->("SELECT GET_LOCK('ticket_$_.$self->{schema}', 5)") for 'keeper', 'sweeper';
    return $end;
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
        $self->_admin("DROP DATABASE $self->{schema}; DROP USER IF EXISTS '$self->{user}'\@'localhost'");
        return;
    }
    return $self->SUPER::stop;
}

sub socket        { return $_[0]{socket} }
sub schema        { return $_[0]{schema} }
sub user          { return $_[0]{user} }
sub password_file { return $_[0]{password_file} }

1;
